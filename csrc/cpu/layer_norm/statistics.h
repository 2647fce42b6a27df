// Mean and 1 / deviation of a row, from sums over it: row.columns, row.sum<K>(terms).
//
// How LayerNorm keeps its digits, also for a mean of 1e4 and a deviation of 1: the mean is summed relative to the row's first
// element, and what its rounding to float leaves over, c = mean(x - mean), is a by-product of the pass for the variance and of
// backward's pass for its sums. With d = x - mean, which is nearly exact, h = (d - c) rstd and the variance is mean(d^2) - c^2.
#pragma once
#include "cpu/row_sums.h"

namespace scratchnet {
namespace {

template <class A>
struct Statistics {
  A mean, rest, rstd;  // the exact mean is mean + rest
};

// For rows whose squares pass the range of float: in double, where they fit. Infinities and NaNs give what the formula gives.
template <bool centred, class T>
Statistics<acc_t<T>> wide_statistics(const T* x, int64_t columns, double eps) {
  double sum = 0, squares = 0;
  for (int64_t j = 0; centred && j < columns; j++) sum += load1(x + j);
  const double mean = centred ? sum / columns : 0;
  for (int64_t j = 0; j < columns; j++) squares += (load1(x + j) - mean) * (load1(x + j) - mean);
  const acc_t<T> rounded = mean;
  return {rounded, acc_t<T>(mean - rounded), acc_t<T>(1 / __builtin_sqrt(squares / columns + eps))};
}

template <bool centred, class T, class Row>
SN_INLINE Statistics<acc_t<T>> statistics(const Row& row, const T* x, double eps) {
  using A = acc_t<T>;
  const int64_t D = row.columns;
  if constexpr (!centred) {
    const auto squares = row.template sum<1>([=](int64_t j, auto get) SN_LAMBDA_INLINE {
      const vec<A> v = get(x + j);
      return Terms<A, 1>{v * v};
    });
    if (D && !__builtin_isfinite(squares.v[0])) [[unlikely]]
      return wide_statistics<centred>(x, D, eps);
    return {0, 0, A(1 / __builtin_sqrt(squares.v[0] / D + eps))};
  } else {
    const A first = D ? load1(x) : 0;
    const auto shifted =
        row.template sum<1>([=](int64_t j, auto get) SN_LAMBDA_INLINE { return Terms<A, 1>{get(x + j) - first}; });
    const A mean = A(first + shifted.v[0] / D);
    const auto sums = row.template sum<2>([=](int64_t j, auto get) SN_LAMBDA_INLINE {
      const vec<A> d = get(x + j) - mean;
      return Terms<A, 2>{d, d * d};
    });
    const double rest = sums.v[0] / D, variance = sums.v[1] / D - rest * rest;
    if (D && !__builtin_isfinite(variance)) [[unlikely]]
      return wide_statistics<centred>(x, D, eps);
    return {mean, A(rest), A(1 / __builtin_sqrt((variance < 0 ? 0 : variance) + eps))};
  }
}

}  // namespace
}  // namespace scratchnet
