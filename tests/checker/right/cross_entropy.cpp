#include <algorithm>
#include <cmath>

static float logsumexp(const float* x, int64_t c) {
  float largest = -INFINITY, sum = 0;
  for (int64_t j = 0; j < c; j++) largest = std::max(largest, x[j]);
  for (int64_t j = 0; j < c; j++) sum += std::exp(x[j] - largest);
  return largest + std::log(sum);
}

void forward(const float* x, const int64_t* target, float* loss, int64_t n, int64_t c) {
  float sum = 0;
  for (int64_t i = 0; i < n; i++) sum += logsumexp(x + i * c, c) - x[i * c + target[i]];
  *loss = sum / n;
}

void backward(const float* grad, const float* x, const int64_t* target, float* dx, int64_t n, int64_t c) {
  for (int64_t i = 0; i < n; i++) {
    const float lse = logsumexp(x + i * c, c);
    for (int64_t j = 0; j < c; j++) dx[i * c + j] = *grad / n * (std::exp(x[i * c + j] - lse) - (j == target[i]));
  }
}
