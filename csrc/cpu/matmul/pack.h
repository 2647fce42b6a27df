// Packing: a piece of a matrix, in whatever layout, copied into the order in which the innermost loop of the product reads it.
//
// W neighbouring lines (rows of a, columns of b) make a panel; a panel holds their first numbers, then their second ones, ...
// Lines that are missing in the last panel are zeros: they only meet results that are never stored.
#pragma once
#include <utility>

#include "cpu/simd.h"
#include "ops/numbers.h"

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

// The words that a panel is made of: TERMS numbers of a line, one after the other. One: the number, in the type that is
// computed in. Two: as many of bfloat16 as fit in its 32 bits, the way AVX512-BF16 wants them (tile.h).
template <class T, int TERMS>
struct Words {
  using A = acc_t<T>;
  // The next word of n neighbouring lines; the next words of a line; the next word of a line that has `left` numbers left.
  static vec<A> across(const T* p, int64_t, int64_t n) { return n < lanes<A> ? load_tail(p, n) : load(p); }
  static vec<A> along(const T* p) { return load(p); }
  static A next(const T* p) { return load1(p); }
  static A one(const T* p, int64_t, int64_t) { return load1(p); }
};
template <>
struct Words<bf16, 2> {
  using U = Simd<float>::U;
  static vec<float> across(const bf16* p, int64_t step, int64_t n) {  // loading a bfloat16 makes it the upper half of a float
    const U first = (U)Words<bf16, 1>::across(p, step, n), second = (U)Words<bf16, 1>::across(p + step, step, n);
    return (vec<float>)(first >> 16 | second);
  }
  static vec<float> along(const bf16* p) { return load((const float*)p); }
  static float next(const bf16* p) {
    float word;
    memcpy(&word, p, sizeof word);
    return word;
  }
  static float one(const bf16* p, int64_t step, int64_t left) {
    const bf16 pair[2] = {p[0], left > 1 ? p[step] : bf16{0}};
    return next(pair);
  }
};

// The part of pack() for panels narrower than a register whose lines are neighbours: one register per word. Each store spills
// into the slots of later words, which are overwritten afterwards. Several panels at a time share the cache lines of the
// source, whose next line may be a page away. Returns how many panels have how many of their words; their last words would
// spill into the next panel.
struct Packed {
  int64_t panels, words;
};
template <int W, int TERMS, class T>
Packed pack_registers(const T* source, int64_t step, int64_t lines, int64_t words, int64_t whole, acc_t<T>* packed) {
  constexpr int64_t N = lanes<acc_t<T>>, TOGETHER = 5;
  const Packed done = {lines < N ? 0 : (lines - N) / W + 1, whole - (N - 1) / W};
  for (int64_t first = 0; first < done.panels; first += TOGETHER)
    for (int64_t p = 0; p < done.words; p++)
      for (int64_t i = first; i < first + TOGETHER && i < done.panels; i++)
        store(packed + (i * words + p) * W, Words<T, TERMS>::across(source + i * W + p * TERMS * step, step, N));
  return done;
}

// packed[panel][p][w] = word p of line panel * W + w, for all lines and the words of `depth` numbers; number p of a line lies
// at source[line * its number + p * step]
template <int W, int TERMS = 1, class T>
void pack(const T* source, int64_t line, int64_t step, int64_t lines, int64_t depth, acc_t<T>* packed) {
  using A = acc_t<T>;
  using Word = Words<T, TERMS>;
  constexpr int N = scratchnet::lanes<A>;
  // Squares pay if most of their lines exist. Of a panel narrower than a register each store spills into the slots of later
  // words, which are overwritten afterwards.
  constexpr bool SQUARES = W % N == 0 || (W < N && W > N / 2);
  constexpr int64_t SPILL = ceil_div(N, W) - 1;
  const int64_t words = ceil_div(depth, TERMS), whole = depth / TERMS;
  Packed done = {0, 0};
  if constexpr (W < N)
    if (line == 1) done = pack_registers<W, TERMS>(source, step, lines, words, whole, packed);
  for (int64_t first = 0; first < lines; first += W, source += W * line, packed += W * words) {
    const int64_t width = min(lines - first, W);
    int64_t p = first < done.panels * W && done.words > 0 ? done.words : 0;
    if (W % N == 0 && line == 1) {  // the panel's numbers are neighbours: whole registers
      for (; p < whole; p++)
        for (int64_t w = 0; w < W; w += N)
          store(packed + p * W + w, w < width ? Word::across(source + p * TERMS * step + w, step, width - w) : vec<A>{});
    } else if (SQUARES && step == 1) {  // each line's numbers are: squares, transposed in registers
      const int64_t from = p;
      for (int64_t w = 0; w < W; w += N)
        for (p = from; p + N + SPILL <= whole; p += N) {
          vec<A> square[N];
#pragma GCC unroll 16
          for (int i = 0; i < N; i++)
            square[i] = i < W && w + i < width ? Word::along(source + (w + i) * line + p * TERMS) : vec<A>{};
          transpose<A>(square);
#pragma GCC unroll 16
          for (int i = 0; i < N; i++) store(packed + (p + i) * W + w, square[i]);
        }
    }
    if (width == W && step == 1)
      for (; p < whole; p++)
        for (int w = 0; w < W; w++) packed[p * W + w] = Word::next(source + w * line + p * TERMS);
    for (; p < words; p++) {
      const T* from = source + p * TERMS * step;
      const int64_t left = depth - p * TERMS;
      if (width == W)
        for (int w = 0; w < W; w++) packed[p * W + w] = Word::one(from + w * line, step, left);
      else
        for (int w = 0; w < W; w++) packed[p * W + w] = w < width ? Word::one(from + w * line, step, left) : A(0);
    }
  }
}

}  // namespace
}  // namespace scratchnet
