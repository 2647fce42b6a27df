// A correlation by tiles, whose blocks the threads share.
//
// Each thread has its own sums, in an order that follows from the sizes alone: the same bits for any number of threads. x, dy
// and the weights are read and the results written about once; in between, a block of sums and a piece of the image stay in L2.
#pragma once
#include "tiles.h"

namespace scratchnet {
namespace {

// Whether the weights are read where they lie, as AVX-512 can: then those of a row have to follow each other, as those of y do.
template <class T>
bool in_place(const Correlation<T>& c, const Views& views) {
  return std::is_same_v<T, acc_t<T>> && VECTORS == 4 && in_order(c, views);
}

// Some rows of the results at some outputs of some images.
struct Block {
  int64_t group, image, images, first, rows, y, down, x, right;
};

// f(block, pieces of its images, numbers of a piece, place for the sums of BLOCK_ROWS rows, sums of a row and image) on all
// threads. A block has a multiple of `unit` rows, but for the last one, and at most about `most`.
template <class T, class F>
void for_each_block(const Correlation<T>& c, const Views& views, int64_t unit, int64_t most, const F& f) {
  using A = acc_t<T>;
  const int64_t pieces = views.down() * views.across(), groups = c.size.groups, terms = c.terms();
  // Small images share the weights in L2, as many in each block: with 5, 5, 5 and 1 one of two threads had 1.7 times the work.
  const int64_t together = pieces == 1 ? piece(c.size.batch, max(1, POSITIONS / max(1, c.y.out * c.x.out)), 1) : 1;
  const int64_t blocks = ceil_div(c.size.batch, together) * groups * pieces;
  if (blocks * c.rows == 0) return;
  const int64_t share = ceil_div(c.rows, ceil_div(sn_num_threads(), blocks));  // few blocks: the threads share their rows
  const int64_t height = piece(c.rows, min(most, share), unit), slices = ceil_div(c.rows, height);
  // Where rows share zeros there may be more outputs than numbers from the first one to the last.
  const int64_t columns = round_up(max(views.numbers(), views.block[0] * views.block[1]), lanes<A>);
  const int64_t work = height * columns * together * (terms + 1);
  const int64_t piece_size = product_of(c.channels, views.channel);
  parallel_for(0, blocks * slices, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
    const Scratch<A> image(product_of(together, piece_size) + COLUMNS<A>), sums(together, min(height, BLOCK_ROWS), columns);
    for (int64_t i = begin; i < end; i++) {
      const int64_t first = i % slices * height, x = i / slices % views.across() * views.block[1];
      const int64_t y = i / slices % pieces / views.across() * views.block[0], n = i / slices / pieces / groups * together;
      const Block block = {i / slices / pieces % groups,    n, min(together, c.size.batch - n),  first,
                           min(height, c.rows - first),     y, min(views.block[0], c.y.out - y), x,
                           min(views.block[1], c.x.out - x)};
      for (int64_t k = 0; k < block.images && terms; k++)
        views.copy(c.in + ((n + k) * groups + block.group) * c.channels * c.y.in * c.x.in, c.channels, y, x,
                   image.at(k * piece_size, piece_size + COLUMNS<A>));
      f(block, image, piece_size, sums, columns);
    }
  });
}

template <class T>
void correlate_tiles(const Correlation<T>& c) {
  using A = acc_t<T>;
  const Views views(c.y, c.x, c.channels, outputs_of_block(c));
  const int64_t terms = c.terms(), groups = c.size.groups, panels = ceil_div(c.rows, ROWS);
  const bool where_they_lie = in_place(c, views);
  const Scratch<A> packed(where_they_lie ? 0 : groups, panels, ROWS, terms);
  parallel_for(0, where_they_lie ? 0 : groups * panels, 1 + GRAIN / (ROWS * terms + 1),
               [&](int64_t begin, int64_t end) { pack_weights<ROWS>(c, views, begin, end, packed); });
  for_each_block(
      c, views, ROWS, BLOCK_ROWS,
      [&](const Block& b, const Scratch<A>& image, int64_t piece_size, const Scratch<A>& sums, int64_t columns) {
        const auto packed_at = [&](int64_t row, int64_t rows) { return packed.at(row * terms, round_up(rows, ROWS) * terms); };
        const Weights<A> weights = where_they_lie
                                       ? Weights<A>{(const A*)c.row_of(b.group, b.first), c.row, c.row, 1}
                                       : Weights<A>{packed_at(b.group * panels * ROWS + b.first, b.rows), terms, 1, ROWS};
        multiply(views, b.rows, terms, weights, b.images, image.data(), piece_size, (b.down - 1) * views.width + b.right,
                 sums.at(0, b.images * b.rows * columns), columns);
        for (int64_t n = 0; n < b.images; n++)
          finish(sums.at(n * b.rows * columns, b.rows * columns), columns, views.width, c.bias_of(b.group, b.first), b.rows,
                 b.down, b.right, c.result(b.group, b.image + n, b.first) + b.y * c.out.down + b.x * c.out.right, c.out);
      });
}

}  // namespace
}  // namespace scratchnet
