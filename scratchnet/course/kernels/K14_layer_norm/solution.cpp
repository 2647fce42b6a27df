#include <cmath>

void forward(const float* input, const float* weight, const float* bias, double eps, float* output, int64_t rows,
             int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    float* y = output + i * columns;
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < columns; j++) sum += x[j];
    const double mean = sum / columns;
    for (int64_t j = 0; j < columns; j++) squares += (x[j] - mean) * (x[j] - mean);
    const double scale = 1 / std::sqrt(squares / columns + eps);
    for (int64_t j = 0; j < columns; j++) y[j] = (x[j] - mean) * scale * weight[j] + bias[j];
  }
}
