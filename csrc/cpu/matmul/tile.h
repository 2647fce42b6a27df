// The innermost loops of a product: a tile of it stays in registers while packed panels of both factors (pack.h) pass by.
#pragma once
#include "simd.h"

namespace scratchnet {
namespace {

#if defined(__AVX512F__)
constexpr int ROWS = 6, VECTORS = 4;  // 24 of 32 registers hold y
#elif defined(__AVX2__)
constexpr int ROWS = 6, VECTORS = 2;  // 12 of 16
#else
constexpr int ROWS = 4, VECTORS = 2;  // 8 of 16: without fused multiply-add the products need registers too
#endif
template <class A>
constexpr int64_t COLUMNS = VECTORS * lanes<A>;
constexpr int64_t DEPTH = 256;  // the longest chain of additions: short for accuracy

inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
// The size of pieces of at most `most`, all about equal, each a multiple of `unit`.
inline int64_t piece(int64_t size, int64_t most, int64_t unit) {
  return size ? round_up(ceil_div(size, ceil_div(size, most)), unit) : unit;
}

// c (R, columns) = [c +] a b for packed a (depth, ROWS), b (depth, V vectors); its last vector may be partial.
template <class A, int R, int V>
void tile(int64_t depth, const A* a, const A* b, int64_t b_row, A* c, int64_t c_row, int64_t columns, bool add) {
  constexpr int64_t N = lanes<A>;
  vec<A> sum[R][V] = {};
  for (int64_t p = 0; p < depth; p++, a += ROWS, b += b_row) {
    vec<A> b_p[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) b_p[v] = load(b + v * N);
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) __builtin_prefetch(b + 8 * b_row + v * N);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
      for (int v = 0; v < V; v++) sum[r][v] += a[r] * b_p[v];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) {
      A* to = c + r * c_row + v * N;
      const int64_t n = columns - v * N;
      if (v < V - 1 || n == N)
        store(to, add ? load(to) + sum[r][v] : sum[r][v]);
      else
        store_tail(to, add ? load_tail(to, n) + sum[r][v] : sum[r][v], n);
    }
}

// The smallest tile that covers rows x columns.
template <class A, int R = ROWS, int V = VECTORS>
SN_INLINE void fitting_tile(int64_t rows, int64_t depth, const A* a, const A* b, int64_t b_row, A* c, int64_t c_row,
                            int64_t columns, bool add) {
  if constexpr (R > 1)
    if (rows < R) return fitting_tile<A, R - 1, V>(rows, depth, a, b, b_row, c, c_row, columns, add);
  if constexpr (V > 1)
    if (columns <= (V - 1) * lanes<A>) return fitting_tile<A, R, V - 1>(rows, depth, a, b, b_row, c, c_row, columns, add);
  tile<A, R, V>(depth, a, b, b_row, c, c_row, columns, add);
}

}  // namespace
}  // namespace scratchnet
