// The tile, the innermost loop of every product: ROWS x VECTORS registers of the result, to which everything is added.
#pragma once
#include "cpu/simd.h"
#include "ops/numbers.h"

namespace scratchnet {
namespace {

#if defined(__AVX512F__)
constexpr int ROWS = 6, VECTORS = 4;  // 24 of 32 registers hold y
#elif defined(__AVX2__)
constexpr int ROWS = 6, VECTORS = 2;  // 12 of 16
#elif defined(__aarch64__)
constexpr int ROWS = 8, VECTORS = 3;  // 24 of 32
#else
constexpr int ROWS = 4, VECTORS = 2;  // 8 of 16: without fused multiply-add the products need registers too
#endif
template <class A>
constexpr int64_t COLUMNS = VECTORS * lanes<A>;
constexpr int64_t DEPTH = 256;  // the longest chain of additions: short for accuracy
constexpr int64_t THREAD_WORK =
    1 << 21;                 // multiply-adds that are worth a thread: some 40 us, a sleeping thread wakes in 10 to 60
constexpr int64_t MOVE = 2;  // what reading or writing a number costs, in multiply-adds, in a cache that all threads share

// The size of pieces of at most `most`, all about equal, each a multiple of `unit`. Not monotone: fewer numbers may be cut into
// larger pieces. Code that sizes memory by it must pass that size down and never ask again.
inline int64_t piece(int64_t size, int64_t most, int64_t unit) {
  return size ? round_up(ceil_div(size, ceil_div(size, most)), unit) : unit;
}

// sum += a b. TERMS = 2: the 32 bits of each number hold two bfloat16 numbers, whose products are both added (AVX512-BF16:
// twice the products per instruction; subnormal numbers count as zero). The assembler knows the instruction whatever this file
// is compiled for; callers must check the CPU first (dot_bf16 in cpu/isa.h).
template <int TERMS, class A>
SN_INLINE void multiply_add(vec<A>& sum, A a, vec<A> b) {
#if defined(__AVX512F__)
  if constexpr (TERMS == 2) {
    const __m512 pair = _mm512_set1_ps(a);
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(b), "v"(pair));
    return;
  }
#endif
  sum += a * b;
}

// c (R, columns) = [c +] the sum over p < depth of a(p, row) * b(p, register): a gives a number, b one of V registers, of which
// the last one may be partial in c. Not inlined: among the variables of a caller the compiler runs out of registers and keeps
// the sums in memory (GCC 12: half the speed).
template <class A, int R, int V, int TERMS, class Numbers, class Registers>
__attribute__((noinline)) void tile(int64_t depth, Numbers a, Registers b, A* c, int64_t c_row, int64_t columns, bool add) {
  constexpr int64_t N = lanes<A>;
  constexpr int TOGETHER = R > 1 && V > VECTORS ? 1 : V;  // registers of b: a wide tile leaves no room for all of them
  vec<A> sum[R][V] = {};
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) __builtin_prefetch(c + r * c_row + v * N, 1);  // there when the sums are: 2 % at 1024^3
  for (int64_t p = 0; p < depth; p++) {
#pragma GCC unroll 16
    for (int first = 0; first < V; first += TOGETHER) {
      vec<A> b_p[TOGETHER];
#pragma GCC unroll 16
      for (int v = 0; v < TOGETHER; v++) b_p[v] = b(p, first + v);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
#pragma GCC unroll 16
        for (int v = 0; v < TOGETHER; v++) multiply_add<TERMS, A>(sum[r][first + v], a(p, r), b_p[v]);
#if defined(__aarch64__) && !defined(__clang__)
        asm volatile("" : : : "memory");  // GCC would load the numbers of all rows first, and run out of registers
#endif
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int v = 0; v < V; v++) {
      A* to = c + r * c_row + v * N;
      const int64_t n = columns - v * N;
      if (v < V - 1 || n == N) store(to, add ? load(to) + sum[r][v] : sum[r][v]);
      else store_tail(to, add ? load_tail(to, n) + sum[r][v] : sum[r][v], n);
    }
}

// A tile of V registers, as high as there are rows.
template <class A, int R, int V, int TERMS = 1, class Numbers, class Registers>
SN_INLINE void tile_of_rows(int64_t rows, int64_t depth, const Numbers& a, const Registers& b, A* c, int64_t c_row,
                            int64_t columns, bool add) {
  if constexpr (R > 1)
    if (rows < R) return tile_of_rows<A, R - 1, V, TERMS>(rows, depth, a, b, c, c_row, columns, add);
  tile<A, R, V, TERMS>(depth, a, b, c, c_row, columns, add);
}

// The smallest tile that covers rows x columns.
template <class A, int V = VECTORS, int TERMS = 1, class Numbers, class Registers>
SN_INLINE void fitting_tile(int64_t rows, int64_t depth, const Numbers& a, const Registers& b, A* c, int64_t c_row,
                            int64_t columns, bool add) {
  if constexpr (V > 1)
    if (columns <= (V - 1) * lanes<A>) return fitting_tile<A, V - 1, TERMS>(rows, depth, a, b, c, c_row, columns, add);
  tile_of_rows<A, ROWS, V, TERMS>(rows, depth, a, b, c, c_row, columns, add);
}

// The numbers of a panel that pack<ROWS> (pack.h) made; or, with other strides, those of a matrix where it lies.
template <class A>
SN_INLINE auto packed_rows(const A* panel, int64_t row = 1, int64_t step = ROWS) {
  return [=](int64_t p, int r) SN_LAMBDA_INLINE { return panel[p * step + r * row]; };
}
// The registers of a panel that pack<COLUMNS<A>> made. They follow each other: the CPU fetches them ahead by itself.
template <class A>
SN_INLINE auto packed_columns(const A* panel) {
  return [panel](int64_t p, int v) SN_LAMBDA_INLINE { return load(panel + p * COLUMNS<A> + v * lanes<A>); };
}

}  // namespace
}  // namespace scratchnet
