#include <cmath>

void forward(const float* input, const int64_t* target, float* output, int64_t rows, int64_t columns) {
  double loss = 0;
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    float m = -INFINITY, s = 0;
    for (int64_t j = 0; j < columns; j++) {
      const float value = x[j];
      if (value > m) {
        s = s * std::exp(m - value) + 1;
        m = value;
      } else if (value != -INFINITY) {  // whose power is 0, even while m is still minus infinity
        s += std::exp(value - m);
      }
    }
    loss += m + std::log(s) - x[target[i]];
  }
  *output = loss / rows;
}
