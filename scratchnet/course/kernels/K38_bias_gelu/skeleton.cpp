// K38: gelu(input + bias), and the sum is never stored. Then: scratchnet check K38
#include <cmath>

void forward(const float* input, const float* bias, float* output, int64_t rows, int64_t columns) {
  // one walk over the rows
}
