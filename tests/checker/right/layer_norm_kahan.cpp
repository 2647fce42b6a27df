#include <algorithm>
#include <cmath>

class Kahan {
 public:
  void add(float x) {
    const float y = x - lost_;
    const float next = sum_ + y;
    lost_ = std::isfinite(next) ? (next - sum_) - y : 0;
    sum_ = next;
  }
  float sum() const { return sum_; }

 private:
  float sum_ = 0, lost_ = 0;
};

void forward(const float* x, const float* weight, const float* bias, double eps, float* y, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++, x += d, y += d) {
    Kahan sum, squares;
    for (int64_t j = 0; j < d; j++) sum.add(x[j]);
    const float mean = sum.sum() / d;
    for (int64_t j = 0; j < d; j++) squares.add((x[j] - mean) * (x[j] - mean));
    const float r = 1 / std::sqrt(squares.sum() / d + float(eps));
    for (int64_t j = 0; j < d; j++) y[j] = (x[j] - mean) * r * weight[j] + bias[j];
  }
}
