// P5: a matrix product by four threads. Right, but no faster than one. Then: scratchnet check P5
#include <algorithm>
#include <thread>
#include <vector>

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const auto work = [&](int64_t t) {  // every fourth column for each thread: equal shares, whatever the size
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = t; j < columns; j += 4) output[i * columns + j] = 0;
      for (int64_t k = 0; k < inner; k++)
        for (int64_t j = t; j < columns; j += 4) output[i * columns + j] += input[i * inner + k] * other[k * columns + j];
    }
  };
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; t++) threads.emplace_back(work, t);
  for (auto& thread : threads) thread.join();
}
