// K39: threads with rows and sums of their own. Then: scratchnet check K39
#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

static void some_rows(const float* grad_output, const float* input, const float* weight, double eps, float* grad_input,
                      float* grad_weight, float* grad_bias, int64_t columns, int64_t first, int64_t last) {
  for (int64_t i = first; i < last; i++) {
    const float *x = input + i * columns, *dy = grad_output + i * columns;
    double sum = 0, squares = 0, mean_g = 0, mean_gh = 0;
    for (int64_t j = 0; j < columns; j++) sum += x[j];
    const double mean = sum / columns;
    for (int64_t j = 0; j < columns; j++) squares += (x[j] - mean) * (x[j] - mean);
    const double r = 1 / std::sqrt(squares / columns + eps);
    for (int64_t j = 0; j < columns; j++) {
      const double h = (x[j] - mean) * r, g = dy[j] * weight[j];
      mean_g += g / columns, mean_gh += g * h / columns;
      grad_weight[j] += dy[j] * h;
      grad_bias[j] += dy[j];
    }
    for (int64_t j = 0; j < columns; j++)
      grad_input[i * columns + j] = r * (dy[j] * weight[j] - mean_g - (x[j] - mean) * r * mean_gh);
  }
}

void backward(const float* grad_output, const float* input, const float* weight, const float* bias, double eps,
              float* grad_input, float* grad_weight, float* grad_bias, int64_t rows, int64_t columns) {
  for (int64_t j = 0; j < columns; j++) grad_weight[j] = grad_bias[j] = 0;
  some_rows(grad_output, input, weight, eps, grad_input, grad_weight, grad_bias, columns, 0, rows);
}
