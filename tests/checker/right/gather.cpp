#include <algorithm>

void forward(const float* x, int64_t dim, const int64_t* index, float* y, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < d; j++) {
      const int64_t at = index[i * d + j];
      y[i * d + j] = dim == 0 ? x[at * d + j] : x[i * d + at];
    }
}

void backward(const float* grad, const float* x, int64_t dim, const int64_t* index, float* dx, int64_t n, int64_t d) {
  std::fill(dx, dx + n * d, 0.0f);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < d; j++) {
      const int64_t at = index[i * d + j];
      dx[dim == 0 ? at * d + j : i * d + at] += grad[i * d + j];
    }
}
