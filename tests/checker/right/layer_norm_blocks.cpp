// LayerNorm in two passes over blocks of 7 numbers and what is left, through memory that is kept between calls.
#include <cmath>
#include <cstdint>
#include <vector>

void forward(const float* x, const float* weight, const float* bias, double eps, float* y, int64_t rows, int64_t columns) {
  thread_local std::vector<double> row;
  row.resize(columns);
  for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
    double sums[7] = {}, squares[7] = {}, sum = 0, square = 0;
    int64_t whole = columns / 7 * 7;
    for (int64_t j = 0; j < whole; j += 7)
      for (int k = 0; k < 7; k++) sums[k] += x[j + k];
    for (int64_t j = whole; j < columns; j++) sums[j - whole] += x[j];
    for (double s : sums) sum += s;
    for (int64_t j = 0; j < columns; j++) row[j] = x[j] - sum / columns;
    for (int64_t j = 0; j < whole; j += 7)
      for (int k = 0; k < 7; k++) squares[k] += row[j + k] * row[j + k];
    for (int64_t j = whole; j < columns; j++) squares[j - whole] += row[j] * row[j];
    for (double s : squares) square += s;
    for (int64_t j = 0; j < columns; j++) y[j] = row[j] / std::sqrt(square / columns + eps) * weight[j] + bias[j];
  }
}
