// A block of scores, some queries times some keys, and the products of register tiles (matmul/tile.h) that make it.
#pragma once
#include <math.h>

#include "cpu/matmul/pack.h"
#include "cpu/matmul/tile.h"
#include "cpu/memory.h"
#include "ops/attention.h"

namespace scratchnet {
namespace {

// Terms of a score, and of what flows back to it, that are added in one chain: dp - delta is a difference of large numbers.
// With 256, gradients of heads of 1,000 numbers were six times as far off as torch's.
constexpr int64_t CHAIN = 64;
constexpr int64_t QUERIES = 96, KEYS = 192;  // of a block: multiples of a tile's rows, and KEYS of its columns
static_assert(QUERIES % ROWS == 0 && KEYS % ROWS == 0 && KEYS % COLUMNS<float> == 0 && KEYS % COLUMNS<double> == 0);

// Queries [i, i + rows) of a head and keys [j, j + columns).
struct Block {
  int64_t i, rows, j, columns, left, right;

  // Among the keys of the block, those that one of its queries [r, r + count) sees.
  Span keys_of(int64_t r, int64_t count) const {
    return {inside(i + r - left - j, columns), inside(i + r + count + right - j, columns)};
  }
  bool visible() const {
    const Span keys = keys_of(0, rows);
    return keys.begin < keys.end;
  }

 private:
  static int64_t inside(int64_t at, int64_t size) { return max(0, min(at, size)); }
};

// How the queries are cut: into blocks that are about equal.
struct QueryBlocks {
  int64_t size, count;
  explicit QueryBlocks(const Attention& p) : size(piece(p.queries, QUERIES, ROWS)), count(ceil_div(p.queries, size)) {}
};
inline int64_t key_blocks(const Attention& p) { return ceil_div(p.keys, KEYS); }

inline Block block_of(const Attention& p, const QueryBlocks& blocks, int64_t i, int64_t j) {
  return {i * blocks.size, min(blocks.size, p.queries - i * blocks.size), j * KEYS, min(KEYS, p.keys - j * KEYS), p.left,
          p.right};
}

// Numbers where they lie: number p of line r at data[r * line + p * step].
template <class A>
struct Lines {
  const A* data;
  int64_t line, step;
};

// c (rows, columns) = [c +] a b, tile by tile, `chain` terms at a time; b in panels. What tile rows [i, i + height) have of the
// columns and of the terms of their sums is across(i, height) and along(i, height): a tile that no one sees is not computed,
// and keeps what it held.
template <class A, class Across, class Along>
void product(int64_t rows, int64_t columns, int64_t depth, const Lines<A>& a, const A* panel, A* c, int64_t c_row, bool add,
             int64_t chain, const Across& across, const Along& along) {
  constexpr int64_t WIDTH = COLUMNS<A>;
  for (int64_t j = 0; j < columns; j += WIDTH, panel += WIDTH * depth)
    for (int64_t i = 0; i < rows; i += ROWS) {
      const int64_t height = min(ROWS, rows - i);
      const Span wanted = across(i, height), terms = along(i, height);
      const int64_t width = min(WIDTH, wanted.end - j);
      if (width <= 0 || j + WIDTH <= wanted.begin) continue;
      int64_t p = terms.begin;
      do {  // once even without terms, which makes zeros
        const auto numbers = packed_rows(a.data + i * a.line + p * a.step, a.line, a.step);
        fitting_tile<A>(height, max(0, min(chain, terms.end - p)), numbers, packed_columns(panel + p * WIDTH),
                        c + i * c_row + j, c_row, width, add || p > terms.begin);
        p += chain;
      } while (p < terms.end);
    }
}

// The whole of an axis, whatever the rows.
inline auto all(int64_t size) {
  return [size](int64_t, int64_t) SN_LAMBDA_INLINE { return Span{0, size}; };
}

// c = q k^T for what the queries of a block see; q has a line for each query, k a column in the panels for each key.
template <class A>
void scores(const Block& block, int64_t size, const Lines<A>& q, const A* k, A* c) {
  const auto seen = [&](int64_t r, int64_t count) SN_LAMBDA_INLINE { return block.keys_of(r, count); };
  product(block.rows, block.columns, size, q, k, c, KEYS, false, CHAIN, seen, all(size));
}

}  // namespace
}  // namespace scratchnet
