// The sums of a rectangle, to which one block of terms after another is added, and the panels that their tiles read.
#pragma once
#include "pack.h"
#include "rectangle.h"

namespace scratchnet {
namespace {

// From here on copying a pays, wherever it lies: with AVX2 4 % at 1024^3. AVX-512 multiplies by a number where it lies.
constexpr int64_t MANY_COLUMNS = VECTORS == 2 ? 128 : INT64_MAX;
constexpr int64_t NEAR = 1 << 17;  // bytes of b that wait in L2 for the next rows of a

// y = [y +] the sums of a chain.
template <class A>
void add_to(A* y, int64_t y_row, int64_t rows, int64_t columns, const A* sums, int64_t sums_row, bool add) {
  for (int64_t i = 0; i < rows; i++)
    map<A>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      A* const to = y + i * y_row + j;
      const auto sum = get(sums + i * sums_row + j);
      put(to, add ? get(to) + sum : sum);
    });
}

// The sums of a rectangle while they grow, one block of terms [p, p + depth) after another.
template <class T>
struct Growing {
  using A = acc_t<T>;
  const Rectangle<T>& r;
  const bool apart;   // c holds the sums of one chain, until they are added to the others
  const bool reused;  // each tile is complete at once: the next one takes its place
  A *const total, *const c;
  const int64_t total_row, c_row;
  int64_t p = 0, depth, chain = 0;  // chain: where the chain began whose sums are in c

  Growing(const Rectangle<T>& r, bool reused)
      : r(r),
        apart(r.DIRECT && long_sums(r.size, r.blocks)),
        reused(reused),
        total(r.total()),
        c(apart ? r.packed.c.data() : total),
        total_row(reused ? COLUMNS<A> : r.total_row()),
        c_row(apart ? r.columns : total_row),
        depth(min(r.blocks.depth, r.size.k)) {}

  // To the next block of terms, if there is one.
  bool next() {
    p += depth;
    if (p == chain + CHAIN * r.blocks.depth) chain = p;
    depth = min(r.blocks.depth, r.size.k - p);
    return p < r.size.k;
  }
  bool add() const { return apart ? p > chain : p > 0 || r.to.accumulate; }  // to what a tile holds already
  A* tile(int64_t i, int64_t j) const { return reused ? c : c + i * c_row + j; }

  // A tile has all terms of this block.
  SN_INLINE void done(int64_t i, int64_t j, int64_t height, int64_t width) const {
    const bool last = p + depth == r.size.k;
    A* const sums = reused ? total : total + i * total_row + j;
    if (apart && (last || p + depth == chain + CHAIN * r.blocks.depth))
      add_to(sums, total_row, height, width, tile(i, j), c_row, chain > 0 || r.to.accumulate);
    if (last) r.finish_tile(i, j, height, width, sums, total_row);
  }
};

// Rows [first, first + height) of a and the terms of this block, for the tiles: f(i) gives the numbers of rows i, i + 1, ...
// Packed, unless a lies as the tile wants it: not copying saves 3 % at 1024^3, half the time for 64 columns.
template <int TERMS, class T>
SN_INLINE auto rows_of_a(const Growing<T>& sums, int64_t first, int64_t height) {
  using A = acc_t<T>;
  const Matrix& a = sums.r.a;
  const T* const from = sums.r.a_at(first, sums.p);
  const int64_t words = ceil_div(sums.depth, TERMS), row = a.row / TERMS;
  const bool in_order = TERMS * sizeof(T) == sizeof(A) && a.column == 1 && a.row % TERMS == 0 && sums.r.size.k % TERMS == 0;
  const bool in_place = in_order && (uintptr_t)from % sizeof(A) == 0 && sums.r.columns < MANY_COLUMNS;
  A* const packed = sums.r.packed.a.at(0, in_place ? 0 : round_up(height, ROWS) * words);
  if (!in_place) pack<ROWS, TERMS>(from, a.row, a.column, height, sums.depth, packed);
  return [=](int64_t i) SN_LAMBDA_INLINE {
    return in_place ? packed_rows((const A*)from + i * row, row, 1) : packed_rows(packed + i * words, 1, ROWS);
  };
}

// Whether the first tiles pack b: panels whose rows lie in order.
template <int TERMS, class T>
bool packed_by_tiles(const Rectangle<T>& r) {
  return TERMS == 1 && r.b.column == 1;
}

// The columns from j0 on of b, packed; but for the panels that the first tiles pack.
template <int TERMS, class T>
acc_t<T>* columns_of_b(const Growing<T>& sums, int64_t j0) {
  using A = acc_t<T>;
  const Rectangle<T>& r = sums.r;
  const int64_t columns = r.columns - j0, words = ceil_div(sums.depth, TERMS);
  const int64_t first = packed_by_tiles<TERMS>(r) ? columns / COLUMNS<A> * COLUMNS<A> : 0;
  A* const packed = r.packed.b.at(0, round_up(columns, COLUMNS<A>) * words);
  pack<COLUMNS<A>, TERMS>(r.b_at(sums.p, j0 + first), r.b.column, r.b.row, columns - first, sums.depth, packed + first * words);
  return packed;
}

// The tiles of rows [i0, i0 + height) and the columns from j0 on: down the columns, one panel of b after another; where all of
// b is near, along the rows, as y lies in memory.
//
// With few rows, reading b is most of the work. So the first tile of a panel packs it from what it reads anyway, and the tiles
// below it fetch the next panel, whose rows may be pages apart: 64 x 4096 x 4096 took 1.3 times as long without.
template <int TERMS, class T, class Rows>
SN_INLINE void packed_tiles(const Growing<T>& sums, const Rows& a, int64_t i0, int64_t height, int64_t j0, acc_t<T>* b) {
  using A = acc_t<T>;
  const Rectangle<T>& r = sums.r;
  const int64_t columns = r.columns - j0, words = ceil_div(sums.depth, TERMS);
  const int64_t down = ceil_div(height, ROWS), across = ceil_div(columns, COLUMNS<A>);
  const bool along = across * COLUMNS<A> * words * (int64_t)sizeof(A) <= NEAR;
  const int shift = down > 8 ? 3 : down > 4 ? 2 : down > 2 ? 1 : 0;  // 2^shift tiles fetch a panel
  for (int64_t t = 0; t < down * across; t++) {
    const int64_t i = (along ? t / across : t % down) * ROWS, j = (along ? t % across : t / down) * COLUMNS<A>;
    const int64_t tall = min(ROWS, height - i), wide = min(COLUMNS<A>, columns - j);
    A *const panel = b + j * words, *const c = sums.tile(i0 + i, j0 + j);
    const bool in_order = i0 == 0 && packed_by_tiles<TERMS>(r) && wide == COLUMNS<A>;
    const T* const from = r.b_at(sums.p, j0 + j);
    const int64_t share = sums.depth >> shift, begin = (i / ROWS - 1) * share;
    if (in_order && i == 0) {
      tile_of_rows<A, ROWS, VECTORS>(tall, words, a(i), copied_columns(from, r.b.row, panel), c, sums.c_row, wide, sums.add());
    } else if (in_order && !along && tall == ROWS && begin + share <= sums.depth && j + 2 * COLUMNS<A> <= columns) {
      const auto registers = fetching(packed_columns(panel), from + COLUMNS<A> + begin * r.b.row, r.b.row, shift);
      tile<A, ROWS, VECTORS, 1>(words, a(i), registers, c, sums.c_row, wide, sums.add());
    } else {
      fitting_tile<A, VECTORS, TERMS>(tall, words, a(i), packed_columns(panel), c, sums.c_row, wide, sums.add());
    }
    sums.done(i0 + i, j0 + j, tall, wide);
  }
}

}  // namespace
}  // namespace scratchnet
