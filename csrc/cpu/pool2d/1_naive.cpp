// Pooling, rung 1: one window after another, one entry after another. Sums are double, rounded once.
#include <math.h>

#include <vector>

#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/pool2d.h"

namespace scratchnet {
namespace {

template <class T>
void max_forward(const T* x, T* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns) {
  using A = acc_t<T>;
  for (int64_t p = 0; p < planes; p++, x += rows.in * columns.in)
    for (int64_t o = 0; o < rows.out; o++)
      for (int64_t q = 0; q < columns.out; q++) {
        A best = -INFINITY;
        int64_t at = rows.first(o) * columns.in + columns.first(q);
        for (int64_t k = 0; k < rows.kernel; k++)
          for (int64_t l = 0; l < columns.kernel; l++) {
            const int64_t i = rows.tap(o, k), j = columns.tap(q, l);
            if (!rows.inside(i) || !columns.inside(j)) continue;
            const A v = load1(x + i * columns.in + j);
            if (v > best || v != v) best = v, at = i * columns.in + j;
          }
        store1(y++, best);
        *index++ = at;
      }
}

template <class T>
bool max_backward(const T* grad, const int64_t* index, T* dx, int64_t planes, int64_t in, int64_t out) {
  std::vector<acc_t<T>> sum(in);
  for (int64_t p = 0; p < planes; p++) {
    for (auto& v : sum) v = 0;
    for (int64_t o = 0; o < out; o++, index++) {
      if (*index < 0 || *index >= in) return false;
      sum[*index] += load1(grad++);
    }
    for (int64_t i = 0; i < in; i++) store1(dx++, sum[i]);
  }
  return true;
}

template <class T>
void avg_forward(const T* x, T* y, int64_t planes, const Spans& rows, const Spans& columns) {
  for (int64_t p = 0; p < planes; p++, x += rows.in * columns.in)
    for (int64_t o = 0; o < rows.out; o++)
      for (int64_t q = 0; q < columns.out; q++) {
        double sum = 0;
        for (int64_t i = rows.begin[o]; i < rows.end[o]; i++)
          for (int64_t j = columns.begin[q]; j < columns.end[q]; j++) sum += load1(x + i * columns.in + j);
        store1(y++, acc_t<T>(sum / (rows.divisor[o] * columns.divisor[q])));
      }
}

template <class T>
void avg_backward(const T* grad, T* dx, int64_t planes, const Spans& rows, const Spans& columns) {
  std::vector<double> sum(rows.in * columns.in);
  for (int64_t p = 0; p < planes; p++) {
    for (auto& v : sum) v = 0;
    for (int64_t o = 0; o < rows.out; o++)
      for (int64_t q = 0; q < columns.out; q++) {
        const double share = load1(grad++) / (rows.divisor[o] * columns.divisor[q]);
        for (int64_t i = rows.begin[o]; i < rows.end[o]; i++)
          for (int64_t j = columns.begin[q]; j < columns.end[q]; j++) sum[i * columns.in + j] += share;
      }
    for (const double v : sum) store1(dx++, acc_t<T>(v));
  }
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_1) = {
    SN_TYPED(max_forward),
    SN_TYPED(max_backward),
    SN_TYPED(avg_forward),
    SN_TYPED(avg_backward),
};

}  // namespace scratchnet
