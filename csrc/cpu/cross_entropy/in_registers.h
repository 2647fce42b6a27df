// What the rungs that keep a row's numbers in registers share: sums over it, and its exponentials kept.
#pragma once
#include "pieces.h"

namespace scratchnet {
namespace {

// Sum of value(i, load) over [0, n): blocks in the type that is computed in, their sums in double.
template <class T, class Value>
SN_INLINE double sum_of(int64_t n, const Value& value) {
  using A = acc_t<T>;
  double sum = 0;
  for (int64_t i = 0; i < n; i += BLOCK)
    sum += sum_block<A, 1>(i, min(i + BLOCK, n), [&](int64_t j, auto get) SN_LAMBDA_INLINE {
             return Terms<A, 1>{value(j, get)};
           }).v[0];
  return sum;
}

// The statistics of at most BLOCK numbers; writes exp(x - max) to e, which has room for a register more.
template <class T>
Statistics<acc_t<T>> statistics(const T* x, int64_t n, acc_t<T>* e) {
  using A = acc_t<T>;
  const A max = largest(x, 0, n), shift = max == -INFINITY ? 0 : max;
  const double sum = sum_block<A, 1>(0, n, [&](int64_t i, auto get) SN_LAMBDA_INLINE {
                       __builtin_prefetch(x + i + n);  // the next row, while the exponentials take their time
                       const vec<A> v = vexp(get(x + i) - shift);
                       store(e + i, v);
                       return Terms<A, 1>{v};
                     }).v[0];
  return {max, max == -INFINITY ? NAN : sum};
}

}  // namespace
}  // namespace scratchnet
