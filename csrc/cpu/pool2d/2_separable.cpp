// Pooling, rung 2: along one axis, then along the other: k + k steps per window instead of k * k.
//
// Maximum: of every row the largest entry of each window's part and its column; of these, down the columns, the largest and its
// row. Average: the transpose of a window sum is one too, so both directions are the same sums over other spans.
#include <math.h>

#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "cpu/scalar.h"
#include "spans.h"

namespace scratchnet {
namespace {

template <class T>
void max_forward(const T* x, T* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns) {
  using A = acc_t<T>;
  const int64_t width = columns.out;
  const Scratch<A> best(rows.in, width);             // the largest entry of the windows' part of each row
  const Scratch<int64_t> column_of(rows.in, width);  // its column
  for (int64_t p = 0; p < planes; p++, x += rows.in * columns.in) {
    for (int64_t i = 0; i < rows.in; i++)
      for (int64_t q = 0; q < width; q++) {
        A top = -INFINITY;
        int64_t column = columns.first(q);
        for (int64_t k = 0; k < columns.kernel; k++) {
          const int64_t j = columns.tap(q, k);
          if (!columns.inside(j)) continue;
          const A v = load1(x + i * columns.in + j);
          if (v > top || v != v) top = v, column = j;
        }
        best[i * width + q] = top, column_of[i * width + q] = column;
      }
    for (int64_t o = 0; o < rows.out; o++)
      for (int64_t q = 0; q < width; q++) {
        A top = -INFINITY;
        int64_t row = rows.first(o);
        for (int64_t k = 0; k < rows.kernel; k++) {
          const int64_t i = rows.tap(o, k);
          if (!rows.inside(i)) continue;
          const A v = best[i * width + q];
          if (v > top || v != v) top = v, row = i;
        }
        store1(y++, top);
        *index++ = row * columns.in + column_of[row * width + q];
      }
  }
}

// The sums of x over the spans, each divided by its divisor; or, on the way back, of x's entries, each divided by its own
// first.
template <class T, bool back>
void window_sums(const T* x, T* y, int64_t planes, const Spans& rows, const Spans& columns, const double* row_divisor,
                 const double* column_divisor) {
  const int64_t width = columns.in;
  const Scratch<double> line(width);
  for (int64_t p = 0; p < planes; p++)
    for (int64_t o = 0; o < rows.out; o++) {
      fill_zeros(line);
      for (int64_t i = rows.begin[o]; i < rows.end[o]; i++)
        for (int64_t j = 0; j < width; j++) {
          const double v = load1(x + (p * rows.in + i) * width + j);
          line[j] += back ? v / (row_divisor[i] * column_divisor[j]) : v;
        }
      for (int64_t q = 0; q < columns.out; q++) {
        double sum = 0;
        for (int64_t j = columns.begin[q]; j < columns.end[q]; j++) sum += line[j];
        store1(y++, acc_t<T>(back ? sum : sum / (row_divisor[o] * column_divisor[q])));
      }
    }
}

template <class T>
void avg_forward(const T* x, T* y, int64_t planes, const Spans& rows, const Spans& columns) {
  window_sums<T, false>(x, y, planes, rows, columns, rows.divisor, columns.divisor);
}

template <class T>
void avg_backward(const T* grad, T* dx, int64_t planes, const Spans& rows, const Spans& columns) {
  const Covering r(rows), c(columns);
  window_sums<T, true>(grad, dx, planes, r.spans, c.spans, rows.divisor, columns.divisor);
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_2) = {
    SN_TYPED(max_forward),
    SN_FROM(pool2d_kernels(1), max_backward),
    SN_TYPED(avg_forward),
    SN_TYPED(avg_backward),
};

}  // namespace scratchnet
