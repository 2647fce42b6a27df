// The sums of a rectangle, to which one block of terms after another is added.
#pragma once
#include "rectangle.h"

namespace scratchnet {
namespace {

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

}  // namespace
}  // namespace scratchnet
