#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

struct Sums {
  std::vector<double> weight, bias;
};

static void some_rows(const float* grad_output, const float* input, const float* weight, double eps, float* grad_input,
                      Sums* own, int64_t columns, int64_t first, int64_t last) {
  own->weight.assign(columns, 0), own->bias.assign(columns, 0);
  for (int64_t i = first; i < last; i++) {
    const float *x = input + i * columns, *dy = grad_output + i * columns;
    double sum = 0, squares = 0, mean_g = 0, mean_gh = 0;
    for (int64_t j = 0; j < columns; j++) sum += x[j];
    const double mean = sum / columns;
    for (int64_t j = 0; j < columns; j++) squares += (x[j] - mean) * (x[j] - mean);
    const double r = 1 / std::sqrt(squares / columns + eps);
    for (int64_t j = 0; j < columns; j++) {
      const double h = (x[j] - mean) * r, g = dy[j] * weight[j];
      mean_g += g / columns, mean_gh += g * h / columns;
      own->weight[j] += dy[j] * h;
      own->bias[j] += dy[j];
    }
    for (int64_t j = 0; j < columns; j++)
      grad_input[i * columns + j] = r * (dy[j] * weight[j] - mean_g - (x[j] - mean) * r * mean_gh);
  }
}

void backward(const float* grad_output, const float* input, const float* weight, const float* bias, double eps,
              float* grad_input, float* grad_weight, float* grad_bias, int64_t rows, int64_t columns) {
  const int64_t count = rows < 32 ? 1 : 4, share = (rows + count - 1) / count;
  std::vector<Sums> parts(rows ? (rows + share - 1) / share : 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < parts.size(); t++)
    threads.emplace_back(some_rows, grad_output, input, weight, eps, grad_input, &parts[t], columns, t * share,
                         std::min<int64_t>(rows, (t + 1) * share));
  for (auto& thread : threads) thread.join();
  for (int64_t j = 0; j < columns; j++) {
    double weight = 0, bias = 0;
    for (const Sums& own : parts) weight += own.weight[j], bias += own.bias[j];
    grad_weight[j] = weight, grad_bias[j] = bias;
  }
}
