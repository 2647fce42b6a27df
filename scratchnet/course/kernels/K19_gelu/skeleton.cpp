// K19: x (1 + erf(x / sqrt(2))) / 2. Then: scratchnet check K19
#include <cmath>

void forward(const float* input, float* output, int64_t rows, int64_t columns) {
  // one loop
}
