#include <algorithm>
#include <thread>
#include <vector>

static void some_rows(const float* input, const float* other, float* output, int64_t inner, int64_t columns, int64_t first,
                      int64_t last) {
  for (int64_t i = first; i < last; i++) {
    for (int64_t j = 0; j < columns; j++) output[i * columns + j] = 0;
    for (int64_t k = 0; k < inner; k++)
      for (int64_t j = 0; j < columns; j++) output[i * columns + j] += input[i * inner + k] * other[k * columns + j];
  }
}

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const int64_t count = rows < 32 ? 1 : 4;
  const int64_t share = (rows + count - 1) / count;
  std::vector<std::thread> threads;
  for (int64_t first = 0; first < rows; first += share)
    threads.emplace_back(some_rows, input, other, output, inner, columns, first, std::min(rows, first + share));
  for (auto& thread : threads) thread.join();
}
