// K08: the mean over the rows of log(sum(exp(x))) - x[target]. Then: scratchnet check K08
#include <algorithm>
#include <cmath>

void forward(const float* input, const int64_t* target, float* output, int64_t rows, int64_t columns) {
  double loss = 0;
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    // the largest number, the sum of powers, the loss
  }
  *output = loss / rows;
}
