// A rectangle of y, which one thread computes: where its sums grow, and what becomes of them.
#pragma once
#include "cpu/memory.h"
#include "epilogue.h"
#include "split.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 240;     // of a in L2
constexpr int64_t FEW_ROWS = 2 * ROWS;  // up to here copying b does not pay
// Blocks of DEPTH terms that are added up one after the other. With the 501 blocks of 128,256 classes in one chain, the
// gradient of linear_cross_entropy lost half of its accuracy.
constexpr int64_t CHAIN = 16;

// How y is cut. Decided once for the whole product: the workspace is sized by it and every rectangle is walked by it. Asking
// `piece` again for the last rectangle, which has fewer rows, could give larger blocks (piece(1458, 240, 6) = 210,
// piece(1382, 240, 6) = 234) than the workspace holds.
struct Blocks {
  int64_t rows, columns;  // of a rectangle, at most
  int64_t height, depth;  // of the block of a that is packed at a time, at most
};

inline bool long_sums(const ProductSizes& size, const Blocks& blocks) { return size.k > CHAIN * blocks.depth; }

// The packed pieces of one thread.
template <class A>
struct Workspace {
  const Scratch<A> a, b, c;  // (height, depth), (depth, columns), and, where the sums do not grow in y, (rows, columns)
  Workspace(const Blocks& blocks, bool sums_apart)
      : a(blocks.height, blocks.depth), b(blocks.depth, blocks.columns), c(sums_apart ? blocks.rows : 0, blocks.columns) {}
};

// One rectangle of y, and where its sums grow.
template <class T>
struct Rectangle : Part<T> {
  using A = acc_t<T>;
  using Part<T>::size, Part<T>::to, Part<T>::columns, Part<T>::j0, Part<T>::y_at;
  static constexpr bool DIRECT = sizeof(T) == sizeof(A);  // the sums grow in y or z itself; 16-bit results need a wider place
  const Blocks& blocks;
  const Workspace<A>& packed;

  // Where the sums end up, and how far it is from row to row.
  A* total() const { return DIRECT ? (A*)(to.z ? to.z : to.y) + y_at(0, 0) : packed.c.data(); }
  int64_t total_row() const { return DIRECT ? size.n : columns; }

  // The sums of a tile have all their terms.
  void finish_tile(int64_t i, int64_t j, int64_t height, int64_t width, const A* sums, int64_t sums_row) const {
    if (!DIRECT || to.bias || to.activation != Activation::none)
      finish<T>(height, width, sums, sums_row, to, y_at(i, j), size.n, j0 + j);
  }
};

// f(rectangle) for all rectangles of all matrices of a batch, on all threads.
template <class T, int TERMS, class F>
void for_each_rectangle(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to, const F& f) {
  using A = acc_t<T>;
  const int64_t count = batches(size);
  if (count * size.m * size.n == 0) return;
  Grid grid = split(size, count, sn_num_threads());
  const int64_t rows = round_up(ceil_div(size.m, grid.down), ROWS);
  const int64_t columns = round_up(ceil_div(size.n, grid.across), COLUMNS<A>);
  grid = {ceil_div(size.m, rows), ceil_div(size.n, columns)};
  const Blocks blocks = {rows, columns, piece(rows, BLOCK_ROWS, ROWS), piece(size.k, DEPTH * TERMS * TERMS, TERMS)};
  const int64_t grain = max(1, int64_t(THREAD_WORK / work(rows, columns, size.k)));
  parallel_for(0, count * grid.down * grid.across, grain, [&](int64_t begin, int64_t end) {
    const Workspace<A> packed(blocks, sizeof(T) < sizeof(A) || long_sums(size, blocks));
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / grid.across % grid.down * rows, j = t % grid.across * columns;
      const Part<T> part = {size, a, b, to, t / grid.across / grid.down, i, min(rows, size.m - i), j, min(columns, size.n - j)};
      f(Rectangle<T>{part, blocks, packed});
    }
  });
}

}  // namespace
}  // namespace scratchnet
