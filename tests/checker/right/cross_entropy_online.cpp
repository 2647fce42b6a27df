#include <cmath>

// Largest number and sum in one pass: the sum is scaled down when a larger number comes.
static float logsumexp(const float* x, int64_t c) {
  float most = -INFINITY, sum = 0;
  for (int64_t j = 0; j < c; j++) {
    if (std::isnan(x[j])) return NAN;
    if (x[j] == -INFINITY) continue;
    if (x[j] > most) {
      sum = sum * std::exp(most - x[j]) + 1;
      most = x[j];
    } else {
      sum += std::exp(x[j] - most);
    }
  }
  if (most == -INFINITY || most == INFINITY) return NAN;
  return most + std::log(sum);
}

void forward(const float* x, const int64_t* target, float* loss, int64_t n, int64_t c) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += logsumexp(x + i * c, c) - x[i * c + target[i]];
  *loss = sum / n;
}
