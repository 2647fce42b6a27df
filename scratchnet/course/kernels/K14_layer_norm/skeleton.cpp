// K14: (x - mean) / sqrt(variance + eps) * weight + bias for each row. Then: scratchnet check K14
#include <cmath>

void forward(const float* input, const float* weight, const float* bias, double eps, float* output, int64_t rows,
             int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    float* y = output + i * columns;
    // the mean, the variance, the results
  }
}
