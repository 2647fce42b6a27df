#include <cmath>

void backward(const float* grad_output, const float* input, const int64_t* target, float* grad_input, int64_t rows,
              int64_t columns) {
  const float scale = *grad_output / rows;
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    float* g = grad_input + i * columns;
    float m = -INFINITY, sum = 0;
    for (int64_t j = 0; j < columns; j++) m = x[j] > m || std::isnan(x[j]) ? x[j] : m;
    for (int64_t j = 0; j < columns; j++) sum += g[j] = x[j] - m < -87 ? 0 : std::exp(x[j] - m);
    for (int64_t j = 0; j < columns; j++) g[j] = scale * (g[j] / sum);
    g[target[i]] -= scale;
  }
}
