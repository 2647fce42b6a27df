// K09: each number of input is read once. Then: scratchnet check K09
#include <cmath>

void forward(const float* input, const int64_t* target, float* output, int64_t rows, int64_t columns) {
  double loss = 0;
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    float m = -INFINITY, s = 0;  // the largest number so far, and the sum of exp(x - m) so far
    for (int64_t j = 0; j < columns; j++) {
      // one number more
    }
    loss += m + std::log(s) - x[target[i]];
  }
  *output = loss / rows;
}
