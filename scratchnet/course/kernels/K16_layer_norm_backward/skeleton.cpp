// K16: three gradients in one walk along the rows. Then: scratchnet check K16
#include <cmath>

void backward(const float* grad_output, const float* input, const float* weight, const float* bias, double eps,
              float* grad_input, float* grad_weight, float* grad_bias, int64_t rows, int64_t columns) {
  // zeros for the sums of the columns
  for (int64_t i = 0; i < rows; i++) {
    // mean and r of the row, the two means, then the gradients
  }
}
