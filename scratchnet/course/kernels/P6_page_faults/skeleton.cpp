// P6: a matrix product with a transposed copy. Right, but slow before the first number. Then: scratchnet check P6
#include <sys/mman.h>

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const int64_t bytes = inner * columns * sizeof(float) + 1;
  float* turned = (float*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int64_t k = 0; k < inner; k++)
    for (int64_t j = 0; j < columns; j++) turned[j * inner + k] = other[k * columns + j];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      float sum = 0;
      for (int64_t k = 0; k < inner; k++) sum += input[i * inner + k] * turned[j * inner + k];
      output[i * columns + j] = sum;
    }
  munmap(turned, bytes);
}
