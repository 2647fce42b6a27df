// K10: grad_input = grad_output (softmax(input) - onehot(target)) / rows. Then: scratchnet check K10
#include <algorithm>
#include <cmath>

void backward(const float* grad_output, const float* input, const int64_t* target, float* grad_input, int64_t rows,
              int64_t columns) {
  // for each row: m, the sum, then the gradient
}
