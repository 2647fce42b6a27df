// One head turned by its token's angles, a register at a time.
#pragma once
#include "cpu/simd.h"
#include "ops/rope.h"

namespace scratchnet {
namespace {

// Neighbours change places: 1 0 3 2 ...
template <class V>
SN_INLINE V swap_pairs(V v) {
  constexpr int N = sizeof v / sizeof v[0];
  if constexpr (N == 2) return __builtin_shufflevector(v, v, 1, 0);
  else if constexpr (N == 4) return __builtin_shufflevector(v, v, 1, 0, 3, 2);
  else if constexpr (N == 8) return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
  else return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

// -1 1 -1 1 ...
template <class A>
SN_INLINE vec<A> alternating() {
  vec<A> sign;
  for (int64_t i = 0; i < lanes<A>; i++) sign[i] = i % 2 ? 1 : -1;
  return sign;
}

template <class T, bool interleaved, bool inverse>
SN_INLINE void rotate_head(const T* x, T* y, const acc_t<T>* cos, const acc_t<T>* sin, int64_t rotary, int64_t columns) {
  if constexpr (interleaved) {
    const auto sign = alternating<acc_t<T>>();
    map<T>(0, rotary, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      const auto v = get(x + j), s = get(sin + j) * sign;
      put(y + j, v * get(cos + j) + (inverse ? swap_pairs(v * s) : swap_pairs(v) * s));
    });
  } else {
    const int64_t half = rotary / 2;
    map<T>(0, half, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      const auto a = get(x + j), b = get(x + half + j), sin_a = get(sin + j), sin_b = get(sin + half + j);
      put(y + j, a * get(cos + j) - b * (inverse ? -sin_b : sin_a));
      put(y + half + j, b * get(cos + half + j) + a * (inverse ? -sin_a : sin_b));
    });
  }
  if (rotary < columns) memcpy(y + rotary, x + rotary, (columns - rotary) * sizeof(T));
}

}  // namespace
}  // namespace scratchnet
