#include <sys/mman.h>

#include <vector>

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  static std::vector<float> workspace;
  if ((int64_t)workspace.size() < inner * columns) workspace.resize(inner * columns);
  float* turned = workspace.data();
  for (int64_t k = 0; k < inner; k++)
    for (int64_t j = 0; j < columns; j++) turned[j * inner + k] = other[k * columns + j];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      float sum = 0;
      for (int64_t k = 0; k < inner; k++) sum += input[i * inner + k] * turned[j * inner + k];
      output[i * columns + j] = sum;
    }
}
