// gather, rung 2: a row at a time, as rows lie in memory. The whole index is checked first, so that no branch is left.
//
//   forward   y[i][j] = x[index[i][j]][j]       an embedding copies its rows whole
//   backward  dx[index[i][j]][j] += grad[i][j]  a row of grad as it comes, in place of one column after another
//
// Sums of 16-bit gradients are floats, rounded once.
#include "cpu/ladder.h"
#include "index.h"
#include "ops/gather.h"

namespace scratchnet {
namespace {

// The sums of all elements of a gradient, until they are rounded; they begin with those of `base` or, without one, with zeros.
template <class T>
struct Sums {
  const Scratch<acc_t<T>> sum;

  template <class... Sizes>
  explicit Sums(const T* base, Sizes... sizes) : sum(sizes...) {
    for (int64_t i = 0; i < sum.size; i++) sum[i] = base ? load1(base + i) : 0;
  }

  void round(T* to) const {
    for (int64_t i = 0; i < sum.size; i++) store1(to + i, sum[i]);
  }
};

template <class T>
bool forward(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  if (!inside(index, s.elements(), s.from)) return false;
  for (int64_t line = 0; line < s.lines; line++) {
    const T* from = x + s.x_line(line);
    const int64_t y_line = s.y_line(line);
    for (int64_t i = 0; i < s.to; i++) {
      const int64_t at = y_line + i * s.y_row;
      for (int64_t j = 0; j < s.columns; j++) y[at + j] = from[index[at + j] * s.x_row + j * s.x_column];
    }
  }
  return true;
}

template <class T>
bool backward(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, int64_t numel) {
  if (!inside(index, s.elements(), s.from)) return false;
  const Sums<T> sums(base, numel);
  for (int64_t line = 0; line < s.lines; line++) {
    acc_t<T>* const to = sums.sum.data() + s.x_line(line);
    const int64_t y_line = s.y_line(line);
    for (int64_t i = 0; i < s.to; i++) {
      const int64_t at = y_line + i * s.y_row;
      for (int64_t j = 0; j < s.columns; j++) to[index[at + j] * s.x_row + j * s.x_column] += load1(grad + at + j);
    }
  }
  sums.round(dx);
  return true;
}

bool embedding_forward(const On& on, const void* weight, int64_t stride, const int64_t* index, void* y, int64_t rows,
                       int64_t columns, int64_t n) {
  if (!inside(index, n, rows)) return false;
  const int64_t size = dtype_size(on.dtype), row = columns * size;
  if (row == 0) return true;  // there may be no memory at all, and memcpy may not be told null
  for (int64_t i = 0; i < n; i++) memcpy((char*)y + i * row, (const char*)weight + index[i] * stride * size, row);
  return true;
}

template <class T>
bool embedding_backward(const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows, int64_t columns,
                        int64_t n, int64_t padding, bool by_count) {
  using A = acc_t<T>;
  if (!inside(index, n, rows)) return false;
  const Scratch<int64_t> count(rows);
  fill_zeros(count);
  for (int64_t i = 0; i < n; i++) count[index[i]]++;
  const Sums<T> sums(base, rows, columns);
  for (int64_t i = 0; i < n; i++) {
    if (index[i] == padding) continue;
    const A share = by_count ? A(1) / A(count[index[i]]) : A(1);
    for (int64_t j = 0; j < columns; j++) sums.sum[index[i] * columns + j] += share * load1(grad + i * columns + j);
  }
  sums.round(dweight);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_2) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    embedding_forward,
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
