// Sums over a row whose numbers lie in order, several at a time: in registers, in an order that the row's size alone decides.
//
// A block of numbers is summed in the type that is computed in, in four registers for each sum, so that no addition waits for
// the one before. Blocks are short; the callers add their sums in double.
#pragma once
#include "cpu/simd.h"

namespace scratchnet {
namespace {

template <class A, int K>
struct Terms {
  vec<A> v[K];
};
template <int K>
struct Sums {
  double v[K] = {};

  SN_INLINE void operator+=(const Sums& more) {
    for (int k = 0; k < K; k++) v[k] += more.v[k];
  }
};

template <class A>
SN_INLINE vec<A> first_lanes(vec<A> v, int64_t n, vec<A> others) {
  vec<A> lane;
  for (int64_t i = 0; i < lanes<A>; i++) lane[i] = A(i);
  return lane < splat(A(n)) ? v : others;
}

constexpr int ACCUMULATORS = 4;

// part = join(part, f(i, load)) over all vectors of [begin, end); f returns K terms, and `neutral` stands for those that do not
// exist.
template <class A, int K, class F, class Join>
SN_INLINE void fold(vec<A> (&part)[ACCUMULATORS][K], int64_t begin, int64_t end, A neutral, const F& f, const Join& join) {
  constexpr int64_t N = lanes<A>;
  const auto whole = [](const auto* p) SN_LAMBDA_INLINE { return load(p); };
  int64_t i = begin;
  for (; i + ACCUMULATORS * N <= end; i += ACCUMULATORS * N)
#pragma GCC unroll 4
    for (int u = 0; u < ACCUMULATORS; u++) {
      const Terms<A, K> terms = f(i + u * N, whole);
      for (int k = 0; k < K; k++) part[u][k] = join(part[u][k], terms.v[k]);
    }
  for (; i + N <= end; i += N) {
    const Terms<A, K> terms = f(i, whole);
    for (int k = 0; k < K; k++) part[0][k] = join(part[0][k], terms.v[k]);
  }
  if (const int64_t n = end - i; n > 0) {
    const Terms<A, K> terms = f(i, [n](const auto* p) SN_LAMBDA_INLINE { return load_tail(p, n); });
    for (int k = 0; k < K; k++) part[1][k] = join(part[1][k], first_lanes<A>(terms.v[k], n, splat(neutral)));
  }
}

// The sums of the K terms f(i, load) over `runs` blocks [begin, end), each `step` behind the one before.
template <class A, int K, class F>
SN_INLINE Sums<K> sum_block(int64_t begin, int64_t end, const F& f, int64_t runs = 1, int64_t step = 0) {
  vec<A> part[ACCUMULATORS][K] = {};
  for (int64_t r = 0; r < runs; r++)
    fold<A, K>(part, begin + r * step, end + r * step, 0, f, [](auto a, auto b) SN_LAMBDA_INLINE { return a + b; });
  Sums<K> sums;
  for (int k = 0; k < K; k++) sums.v[k] = vsum((part[0][k] + part[1][k]) + (part[2][k] + part[3][k]));
  return sums;
}

}  // namespace
}  // namespace scratchnet
