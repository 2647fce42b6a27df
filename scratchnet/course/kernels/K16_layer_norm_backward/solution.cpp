#include <cmath>

void backward(const float* grad_output, const float* input, const float* weight, const float* bias, double eps,
              float* grad_input, float* grad_weight, float* grad_bias, int64_t rows, int64_t columns) {
  for (int64_t j = 0; j < columns; j++) grad_weight[j] = grad_bias[j] = 0;
  for (int64_t i = 0; i < rows; i++) {
    const float *x = input + i * columns, *dy = grad_output + i * columns;
    float* dx = grad_input + i * columns;
    double sum = 0, squares = 0, first = 0, second = 0;
    for (int64_t j = 0; j < columns; j++) sum += x[j];
    const double mean = sum / columns;
    for (int64_t j = 0; j < columns; j++) squares += (x[j] - mean) * (x[j] - mean);
    const double r = 1 / std::sqrt(squares / columns + eps);
    for (int64_t j = 0; j < columns; j++) {
      const double h = (x[j] - mean) * r, g = dy[j] * weight[j];
      first += g;
      second += g * h;
      grad_weight[j] += dy[j] * h;
      grad_bias[j] += dy[j];
    }
    for (int64_t j = 0; j < columns; j++) {
      const double h = (x[j] - mean) * r;
      dx[j] = r * (dy[j] * weight[j] - first / columns - h * second / columns);
    }
  }
}
