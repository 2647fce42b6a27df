// A block of scores, some queries times some keys, and the products of register tiles (matmul/tile.h) that make it and use it.
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

  // Among the keys of the block, those that one of its queries [r, r + count) sees; and the reverse.
  Span keys_of(int64_t r, int64_t count) const {
    return {inside(i + r - left - j, columns), inside(i + r + count + right - j, columns)};
  }
  Span queries_of(int64_t c, int64_t count) const {
    return {inside(j + c - right - i, rows), inside(j + c + count + left - i, rows)};
  }
  bool visible() const {
    const Span keys = keys_of(0, rows);
    return keys.begin < keys.end;
  }

 private:
  static int64_t inside(int64_t at, int64_t size) { return max(0, min(at, size)); }
};

// Numbers where they lie: number p of line r at data[r * line + p * step].
template <class A>
struct Lines {
  const A* data;
  int64_t line, step;
};

// Rows [i, i + rows) of a head times `scale`, in the type that is computed in: where they lie, or a copy. Scores are scaled by
// their queries: a score times the scale and less the largest one, in one fused operation, would not be 0 for that one itself.
template <class T>
Lines<acc_t<T>> lines(const Heads& t, int64_t b, int64_t h, int64_t i, int64_t rows, int64_t size,
                      const Scratch<acc_t<T>>& copy, acc_t<T> scale = 1) {
  const T* const from = (const T*)t.data + t.offset(b, h, i);
  if constexpr (sizeof(T) == sizeof(acc_t<T>))
    if (scale == 1) return {from, t.row, t.column};
  acc_t<T>* const to = copy.at(0, rows * size);
  for (int64_t r = 0; r < rows; r++)
    if (t.column == 1)
      map<T>(0, size, [&](int64_t e, auto get, auto put) SN_LAMBDA_INLINE {
        put(to + r * size + e, get(from + r * t.row + e) * scale);
      });
    else
      for (int64_t e = 0; e < size; e++) to[r * size + e] = load1(from + r * t.row + e * t.column) * scale;
  return {to, size, 1};
}

// Panels for the right side of a product: of the rows themselves (their columns side by side), or of the rows as columns.
template <class T>
void pack_rows(const Heads& t, int64_t b, int64_t h, int64_t i, int64_t rows, int64_t size, const Scratch<acc_t<T>>& panels) {
  pack<COLUMNS<acc_t<T>>>((const T*)t.data + t.offset(b, h, i), t.column, t.row, size, rows,
                          panels.at(0, round_up(size, COLUMNS<acc_t<T>>) * rows));
}
template <class T>
void pack_transposed(const Heads& t, int64_t b, int64_t h, int64_t i, int64_t rows, int64_t size, acc_t<T>* panels) {
  pack<COLUMNS<acc_t<T>>>((const T*)t.data + t.offset(b, h, i), t.row, t.column, rows, size, panels);
}
// Room for the panels of at most `rows` rows or columns of `size` numbers.
template <class A>
int64_t panels_of(int64_t rows, int64_t size) {
  return max(product_of(round_up(rows, COLUMNS<A>), size), product_of(rows, round_up(size, COLUMNS<A>)));
}

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
// c (queries, size) += p v, p a block of numbers, v a row in the panels for each key.
template <class A>
void add_over_keys(const Block& block, int64_t size, const A* p, const A* v, A* c) {
  const auto seen = [&](int64_t r, int64_t count) SN_LAMBDA_INLINE { return block.keys_of(r, count); };
  product(block.rows, size, block.columns, Lines<A>{p, KEYS, 1}, v, c, size, true, KEYS, all(size), seen);
}
// c (keys, size) += p^T g, g a row in the panels for each query.
template <class A>
void add_over_queries(const Block& block, int64_t size, const A* p, const A* g, A* c) {
  const auto seen = [&](int64_t r, int64_t count) SN_LAMBDA_INLINE { return block.queries_of(r, count); };
  product(block.columns, size, block.rows, Lines<A>{p, 1, KEYS}, g, c, size, true, KEYS, all(size), seen);
}

}  // namespace
}  // namespace scratchnet
