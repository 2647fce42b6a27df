// Pooling, rung 4: maxima and their places a register at a time, down the columns.
#include "cpu/ladder.h"
#include "maxima.h"

namespace scratchnet {
namespace {

template <class T>
void along_row(const T* x, int64_t i, const Maxima<acc_t<T>>& to) {
  using A = acc_t<T>;
  const Axis& columns = to.columns;
  for (int64_t q = 0; q < to.width; q++) {  // behind the last window the same one again: whole registers
    const int64_t window = min(q, columns.out - 1);
    A top = -INFINITY;
    int64_t column = columns.first(window);
    for (int64_t k = 0; k < columns.kernel; k++) {
      const int64_t j = columns.tap(window, k);
      if (!columns.inside(j)) continue;
      const A v = load1(x + j);
      if (v > top || v != v) top = v, column = j;
    }
    to.best[i * to.width + q] = top, to.column_of[i * to.width + q] = int_t<A>(column);
  }
}

template <class T>
void max_forward(const T* x, T* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns) {
  const Maxima<acc_t<T>> maxima(rows, columns);
  for (int64_t p = 0; p < planes; p++) {
    for (int64_t i = 0; i < rows.in; i++) along_row(x + (p * rows.in + i) * columns.in, i, maxima);
    for (int64_t o = 0; o < rows.out; o++) {
      const int64_t to = (p * rows.out + o) * columns.out;
      maxima.down_columns(o, y + to, index + to);
    }
  }
}

template <class T>
bool max_backward(const T* grad, const int64_t* index, T* dx, int64_t planes, int64_t in, int64_t out) {
  const Scratch<acc_t<T>> sum(in);
  for (int64_t p = 0; p < planes; p++) {
    fill_zeros(sum);
    for (int64_t o = p * out; o < (p + 1) * out; o++) {
      if (uint64_t(index[o]) >= uint64_t(in)) return false;
      sum[index[o]] += load1(grad + o);
    }
    map<T>(0, in, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(dx + p * in + i, get(sum.data() + i)); });
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_4) = {
    SN_TYPED(max_forward),
    SN_TYPED(max_backward),
    SN_FROM(pool2d_kernels(3), avg_forward),
    SN_FROM(pool2d_kernels(3), avg_backward),
};

}  // namespace scratchnet
