// K20: grad_output (Phi(x) + x phi(x)). Then: scratchnet check K20
#include <cmath>

void backward(const float* grad_output, const float* input, float* grad_input, int64_t rows, int64_t columns) {
  // one loop
}
