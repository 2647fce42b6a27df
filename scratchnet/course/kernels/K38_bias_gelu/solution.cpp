#include <cmath>

void forward(const float* input, const float* bias, float* output, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const float x = input[i * columns + j] + bias[j];
      output[i * columns + j] = 0.5f * x * (1 + std::erf(x * 0.70710678f));
    }
}
