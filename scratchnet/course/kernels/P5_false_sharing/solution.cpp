#include <algorithm>
#include <thread>
#include <vector>

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const int64_t share = (rows + 3) / 4;
  const auto work = [&](int64_t t) {
    for (int64_t i = t * share; i < std::min(rows, t * share + share); i++) {
      for (int64_t j = 0; j < columns; j++) output[i * columns + j] = 0;
      for (int64_t k = 0; k < inner; k++)
        for (int64_t j = 0; j < columns; j++) output[i * columns + j] += input[i * inner + k] * other[k * columns + j];
    }
  };
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; t++) threads.emplace_back(work, t);
  for (auto& thread : threads) thread.join();
}
