#include <algorithm>
#include <cmath>

struct Statistics {
  float mean, r;
};

static Statistics statistics(const float* x, int64_t d, double eps) {
  float sum = 0, squares = 0;
  for (int64_t j = 0; j < d; j++) sum += x[j];
  const float mean = sum / d;
  for (int64_t j = 0; j < d; j++) squares += (x[j] - mean) * (x[j] - mean);
  return {mean, float(1 / std::sqrt(squares / d + eps))};
}

void forward(const float* x, const float* weight, const float* bias, double eps, float* y, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++, x += d, y += d) {
    const auto [mean, r] = statistics(x, d, eps);
    for (int64_t j = 0; j < d; j++) y[j] = (x[j] - mean) * r * weight[j] + bias[j];
  }
}

void backward(const float* grad, const float* x, const float* weight, const float* bias, double eps, float* dx, float* dweight,
              float* dbias, int64_t n, int64_t d) {
  std::fill(dweight, dweight + d, 0.0f);
  std::fill(dbias, dbias + d, 0.0f);
  for (int64_t i = 0; i < n; i++, grad += d, x += d, dx += d) {
    const auto [mean, r] = statistics(x, d, eps);
    float sum_a = 0, sum_ah = 0;
    for (int64_t j = 0; j < d; j++) {
      const float h = (x[j] - mean) * r;
      sum_a += grad[j] * weight[j];
      sum_ah += grad[j] * weight[j] * h;
      dweight[j] += grad[j] * h;
      dbias[j] += grad[j];
    }
    for (int64_t j = 0; j < d; j++) dx[j] = r * (grad[j] * weight[j] - sum_a / d - (x[j] - mean) * r * sum_ah / d);
  }
}
