// K15: each row is read twice, once for both statistics. Then: scratchnet check K15
#include <cmath>

void forward(const float* input, const float* weight, const float* bias, double eps, float* output, int64_t rows,
             int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    const float* x = input + i * columns;
    double m = 0, q = 0;  // the mean so far, and the sum of the squared deviations from it
    for (int64_t j = 0; j < columns; j++) {
      // one number more
    }
    const double scale = 1 / std::sqrt(q / columns + eps);
    for (int64_t j = 0; j < columns; j++) output[i * columns + j] = (x[j] - m) * scale * weight[j] + bias[j];
  }
}
