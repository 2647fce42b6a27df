// What the rungs of cross-entropy from the third on share: max(x) and sum(exp(x - max)) of a row that lies in order in memory.
#pragma once
#include <math.h>

#include "cpu/row_sums.h"
#include "ops/numbers.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK = 4096;  // elements of a row that are read twice: 16 KiB of floats, half of the L1 cache

// The largest of x[begin] to x[end - 1]; NaN, if one is there.
template <class T>
SN_INLINE acc_t<T> largest(const T* x, int64_t begin, int64_t end) {
  using A = acc_t<T>;
  vec<A> part[ACCUMULATORS][1];
  for (auto& p : part) p[0] = splat(A(-INFINITY));
  fold<A, 1>(
      part, begin, end, -INFINITY, [&](int64_t i, auto get) SN_LAMBDA_INLINE { return Terms<A, 1>{get(x + i)}; },
      [](auto a, auto b) SN_LAMBDA_INLINE { return vmax(a, b); });
  return vmax_lanes(vmax(vmax(part[0][0], part[1][0]), vmax(part[2][0], part[3][0])));
}

template <class A>
struct Statistics {
  A max;
  double sum;  // of exp(x - max)

  double log_sum() const { return log(sum); }
  // Its own case for an infinite maximum: inf - inf would be NaN.
  double logsumexp() const { return isinf(max) ? max : max + log_sum(); }
};

// Block by block: its maximum while it comes from memory, its sum while it is in the L1 cache and the next block is on its way.
template <class T>
Statistics<acc_t<T>> statistics(const T* x, int64_t n) {
  using A = acc_t<T>;
  A max = -INFINITY;
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const int64_t end = min(begin + BLOCK, n);
    const A block = largest(x, begin, end);
    const A next = block > max || isnan(block) ? block : max;
    const A shift = next == -INFINITY ? 0 : next;
    if (sum != 0 && next != max) sum *= exp(double(max) - next);
    sum += sum_block<A, 1>(begin, end, [&](int64_t i, auto get) SN_LAMBDA_INLINE {
             __builtin_prefetch(x + i + BLOCK);
             return Terms<A, 1>{vexp(get(x + i) - shift)};
           }).v[0];
    max = next;
  }
  return {max, max == -INFINITY ? NAN : sum};  // a row of -inf alone has no softmax
}

}  // namespace
}  // namespace scratchnet
