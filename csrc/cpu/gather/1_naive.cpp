// gather, rung 1: one element after another.
//
//   forward   y[i][j] = x[index[i][j]][j]               a copy
//   backward  dx[index[i][j]][j] += grad[i][j]          its transpose: an index that occurs twice counts twice
//
// 16-bit gradients are summed in float, one column at a time, and rounded once.
#include <vector>

#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/gather.h"

namespace scratchnet {
namespace {

bool inside(int64_t k, int64_t size) { return 0 <= k && k < size; }

template <class T>
bool forward(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  for (int64_t line = 0; line < s.lines; line++) {
    const int64_t x_line = s.x_line(line), y_line = s.y_line(line);
    for (int64_t i = 0; i < s.to; i++)
      for (int64_t j = 0; j < s.columns; j++) {
        const int64_t at = y_line + i * s.y_row + j, k = index[at];
        if (!inside(k, s.from)) return false;
        y[at] = x[x_line + k * s.x_row + j * s.x_column];
      }
  }
  return true;
}

template <class T>
bool backward(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, int64_t numel) {
  for (int64_t i = 0; i < numel; i++) dx[i] = base ? base[i] : T{};
  std::vector<acc_t<T>> sum(s.from);
  for (int64_t line = 0; line < s.lines; line++)
    for (int64_t j = 0; j < s.columns; j++) {
      const int64_t x_line = s.x_line(line) + j * s.x_column, y_line = s.y_line(line) + j;
      for (int64_t k = 0; k < s.from; k++) sum[k] = load1(dx + x_line + k * s.x_row);
      for (int64_t i = 0; i < s.to; i++) {
        const int64_t at = y_line + i * s.y_row;
        if (!inside(index[at], s.from)) return false;
        sum[index[at]] += load1(grad + at);
      }
      for (int64_t k = 0; k < s.from; k++) store1(dx + x_line + k * s.x_row, sum[k]);
    }
  return true;
}

template <class T>
bool embedding_forward(const T* weight, int64_t stride, const int64_t* index, T* y, int64_t rows, int64_t columns, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    if (!inside(index[i], rows)) return false;
    for (int64_t j = 0; j < columns; j++) y[i * columns + j] = weight[index[i] * stride + j];
  }
  return true;
}

template <class T>
bool embedding_backward(const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows, int64_t columns,
                        int64_t n, int64_t padding, bool by_count) {
  using A = acc_t<T>;
  std::vector<int64_t> count(rows);
  for (int64_t i = 0; i < n; i++) {
    if (!inside(index[i], rows)) return false;
    count[index[i]]++;
  }
  std::vector<A> sum(rows);
  for (int64_t j = 0; j < columns; j++) {
    for (int64_t k = 0; k < rows; k++) sum[k] = base ? load1(base + k * columns + j) : 0;
    for (int64_t i = 0; i < n; i++) {
      const A g = load1(grad + i * columns + j);
      if (index[i] != padding) sum[index[i]] += by_count ? g / A(count[index[i]]) : g;
    }
    for (int64_t k = 0; k < rows; k++) store1(dweight + k * columns + j, sum[k]);
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_1) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
