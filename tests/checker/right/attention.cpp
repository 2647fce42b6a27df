#include <algorithm>
#include <cmath>
#include <vector>

static double dot(const float* a, const float* b, int64_t d) {
  double sum = 0;
  for (int64_t e = 0; e < d; e++) sum += double(a[e]) * b[e];
  return sum;
}

// How much query i takes of each of the n values.
static std::vector<double> weights(const float* query, const float* key, int64_t i, int64_t n, int64_t d) {
  std::vector<double> p(n);
  for (int64_t j = 0; j < n; j++) p[j] = dot(query + i * d, key + j * d, d) / std::sqrt(double(d));
  double most = -INFINITY, sum = 0;
  for (double s : p) most = s > most || std::isnan(s) ? s : most;
  for (double& s : p) sum += s = std::exp(s - most);
  for (double& s : p) s /= sum;
  return p;
}

void forward(const float* query, const float* key, const float* value, float* y, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++) {
    const auto p = weights(query, key, i, n, d);
    for (int64_t e = 0; e < d; e++) {
      double sum = 0;
      for (int64_t j = 0; j < n; j++) sum += p[j] * value[j * d + e];
      y[i * d + e] = sum;
    }
  }
}

void backward(const float* grad, const float* query, const float* key, const float* value, float* dquery, float* dkey,
              float* dvalue, int64_t n, int64_t d) {
  std::vector<double> dq(n * d), dk(n * d), dv(n * d);
  for (int64_t i = 0; i < n; i++) {
    const auto p = weights(query, key, i, n, d);
    double delta = 0;
    for (int64_t j = 0; j < n; j++) delta += p[j] * dot(grad + i * d, value + j * d, d);
    for (int64_t j = 0; j < n; j++) {
      const double ds = p[j] * (dot(grad + i * d, value + j * d, d) - delta) / std::sqrt(double(d));
      for (int64_t e = 0; e < d; e++) {
        dq[i * d + e] += ds * key[j * d + e];
        dk[j * d + e] += ds * query[i * d + e];
        dv[j * d + e] += p[j] * grad[i * d + e];
      }
    }
  }
  std::copy(dq.begin(), dq.end(), dquery);
  std::copy(dk.begin(), dk.end(), dkey);
  std::copy(dv.begin(), dv.end(), dvalue);
}
