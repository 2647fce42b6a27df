#include <algorithm>
#include <thread>
#include <vector>

void forward(const float* a, const float* b, float* y, int64_t m, int64_t k, int64_t n) {
  std::vector<std::thread> threads;
  const int64_t count = std::min<int64_t>(4, std::max<int64_t>(1, m / 16)), share = (m + count - 1) / count;
  for (int64_t t = 0; t < count; t++)
    threads.emplace_back([=] {
      for (int64_t i = t * share; i < std::min(m, (t + 1) * share); i++) {
        std::fill(y + i * n, y + (i + 1) * n, 0.0f);
        for (int64_t l = 0; l < k; l++)
          for (int64_t j = 0; j < n; j++) y[i * n + j] += a[i * k + l] * b[l * n + j];
      }
    });
  for (auto& thread : threads) thread.join();
}
