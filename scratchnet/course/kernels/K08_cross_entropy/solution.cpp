#include <algorithm>
#include <cmath>

void forward(const float* input, const int64_t* target, float* output, int64_t rows, int64_t columns) {
  double loss = 0;
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    float m = -INFINITY;
    for (int64_t j = 0; j < columns; j++) m = x[j] > m || std::isnan(x[j]) ? x[j] : m;
    float sum = 0;
    for (int64_t j = 0; j < columns; j++) sum += std::exp(x[j] - m);
    loss += m + std::log(sum) - x[target[i]];
  }
  *output = loss / rows;
}
