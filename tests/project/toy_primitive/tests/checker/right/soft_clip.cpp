#include <cmath>

void forward(const float* x, float* y, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows * columns; i++) y[i] = x[i] / (1 + std::fabs(x[i]));
}

void backward(const float* grad, const float* x, float* dx, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows * columns; i++) {
    const float d = 1 + std::fabs(x[i]);
    dx[i] = grad[i] / (d * d);
  }
}
