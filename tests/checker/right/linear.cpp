#include <cmath>
#include <cstring>

void forward(const float* x, const float* weight, const float* bias, const char* activation, float* y, int64_t rows,
             int64_t columns, int64_t outputs) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t o = 0; o < outputs; o++) {
      float sum = bias[o];
      for (int64_t l = 0; l < columns; l++) sum += x[i * columns + l] * weight[o * columns + l];
      if (!std::strcmp(activation, "gelu")) sum = 0.5f * sum * std::erfc(-sum * float(M_SQRT1_2));
      if (!std::strcmp(activation, "relu")) sum = sum > 0 || std::isnan(sum) ? sum : 0;
      if (!std::strcmp(activation, "gelu_tanh"))
        sum = 0.5f * sum * (1 + std::tanh(0.7978845608f * (sum + 0.044715f * sum * sum * sum)));
      y[i * outputs + o] = sum;
    }
}
