// Packing: a piece of a matrix, in whatever layout, copied into the order in which the innermost loop of the product reads it.
//
// W neighbouring lines (rows of a, columns of b) make a panel; a panel holds their first numbers, then their second ones, ...
// Lines that are missing in the last panel are zeros: they meet only results that nobody stores.
#pragma once
#include <utility>

#include "simd.h"

namespace scratchnet {
namespace {

template <class A, int S, int... L>
SN_INLINE void exchange(vec<A>& x, vec<A>& y, std::integer_sequence<int, L...>) {
  constexpr int N = lanes<A>;
  const vec<A> low = __builtin_shufflevector(x, y, (L & S ? N + L - S : L)...);
  y = __builtin_shufflevector(x, y, (L & S ? N + L : L + S)...);
  x = low;
}

// N registers of N numbers seen as a square: exchange its off-diagonal quarters, then those of the quarters, ...
template <class A, int S = lanes<A> / 2>
SN_INLINE void transpose(vec<A>* square) {
#pragma GCC unroll 16
  for (int i = 0; i < lanes<A>; i++)
    if (!(i & S)) exchange<A, S>(square[i], square[i + S], std::make_integer_sequence<int, lanes<A>>());
  if constexpr (S > 1) transpose<A, S / 2>(square);
}

// packed[panel][p][w] = source[(panel * W + w) * line + p * step] for all lines and p < depth
template <int W, class T>
void pack(const T* source, int64_t line, int64_t step, int64_t lines, int64_t depth, acc_t<T>* packed) {
  using A = acc_t<T>;
  constexpr int N = lanes<A>;
  for (int64_t first = 0; first < lines; first += W, source += W * line, packed += W * depth) {
    const int64_t width = lines - first < W ? lines - first : W;
    int64_t p = 0;
    if (W % N == 0 && line == 1) {  // the panel's numbers are neighbours: whole registers
      for (; p < depth; p++)
        for (int64_t w = 0; w < W; w += N) {
          const T* from = source + p * step + w;
          store(packed + p * W + w, w + N <= width ? load(from) : w < width ? load_tail(from, width - w) : vec<A>{});
        }
    } else if (W % N == 0 && step == 1) {  // each line's numbers are: squares, transposed in registers
      for (; p + N <= depth; p += N)
        for (int64_t w = 0; w < W; w += N) {
          vec<A> square[N];
#pragma GCC unroll 16
          for (int i = 0; i < N; i++) square[i] = w + i < width ? load(source + (w + i) * line + p) : vec<A>{};
          transpose<A>(square);
#pragma GCC unroll 16
          for (int i = 0; i < N; i++) store(packed + (p + i) * W + w, square[i]);
        }
    }
    for (; p < depth; p++) {
      if (width == W)
        for (int w = 0; w < W; w++) packed[p * W + w] = load1(source + w * line + p * step);
      else
        for (int w = 0; w < W; w++) packed[p * W + w] = w < width ? load1(source + w * line + p * step) : A(0);
    }
  }
}

}  // namespace
}  // namespace scratchnet
