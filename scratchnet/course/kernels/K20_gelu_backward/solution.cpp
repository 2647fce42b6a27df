#include <cmath>

void backward(const float* grad_output, const float* input, float* grad_input, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows * columns; i++) {
    const float x = input[i];
    const float slope = 0.5f * (1 + std::erf(x * 0.70710678f)) + x * 0.39894228f * std::exp(-0.5f * x * x);
    grad_input[i] = grad_output[i] * slope;
  }
}
