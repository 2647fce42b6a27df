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
  const int64_t taps = views.taps();
  return std::is_same_v<T, acc_t<T>> && VECTORS == 4 && c.channel == taps && taps && views.place[taps - 1] == taps - 1;
}

template <class T>
void correlate_tiles(const Correlation<T>& c) {
  using A = acc_t<T>;
  const Views views(c.y, c.x, c.channels, outputs_of_block(c));
  const int64_t terms = c.terms(), groups = c.size.groups, panels = ceil_div(c.rows, ROWS);
  const bool where_they_lie = in_place(c, views);
  const Scratch<A> packed(where_they_lie ? 0 : groups, panels, ROWS, terms);
  parallel_for(0, where_they_lie ? 0 : groups * panels, 1 + GRAIN / (ROWS * terms + 1),
               [&](int64_t begin, int64_t end) { pack_weights(c, views, begin, end, packed); });

  const int64_t pieces = views.down() * views.across();
  // Small images share the weights in L2, as many in each block: with 5, 5, 5 and 1 one of two threads had 1.7 times the work.
  const int64_t together = pieces == 1 ? piece(c.size.batch, max(1, POSITIONS / max(1, c.y.out * c.x.out)), 1) : 1;
  const int64_t blocks = ceil_div(c.size.batch, together) * groups * pieces;
  if (blocks * c.rows == 0) return;
  const int64_t share = ceil_div(c.rows, ceil_div(sn_num_threads(), blocks));  // few blocks: the threads share their rows
  const int64_t height = piece(c.rows, min(BLOCK_ROWS, share), ROWS), slices = ceil_div(c.rows, height);
  const int64_t columns = round_up(views.block[0] * views.width, lanes<A>), work = height * columns * together * (terms + 1);
  const int64_t piece_size = product_of(c.channels, views.channel);
  parallel_for(0, blocks * slices, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
    const Scratch<A> image(product_of(together, piece_size) + COLUMNS<A>), sums(together, height, columns);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t first = unit % slices * height, lines = min(height, c.rows - first);
      const int64_t x0 = unit / slices % views.across() * views.block[1], right = min(views.block[1], c.x.out - x0);
      const int64_t y0 = unit / slices % pieces / views.across() * views.block[0], down = min(views.block[0], c.y.out - y0);
      const int64_t g = unit / slices / pieces % groups, n0 = unit / slices / pieces / groups * together;
      const int64_t images = min(together, c.size.batch - n0);
      for (int64_t n = 0; n < images && terms; n++)
        views.copy(c.in + ((n0 + n) * groups + g) * c.channels * c.y.in * c.x.in, c.channels, y0, x0,
                   image.at(n * piece_size, piece_size + COLUMNS<A>));
      const Weights<A> weights =
          where_they_lie
              ? Weights<A>{(const A*)c.row_of(g, first), c.row, c.row, 1}
              : Weights<A>{packed.at((g * panels * ROWS + first) * terms, round_up(lines, ROWS) * terms), terms, 1, ROWS};
      multiply(views, lines, terms, weights, images, image.data(), piece_size, (down - 1) * views.width + right,
               sums.at(0, images * lines * columns), columns);
      for (int64_t n = 0; n < images; n++)
        finish(sums.at(n * lines * columns, lines * columns), columns, views.width,
               c.bias ? c.bias + g * c.rows + first : nullptr, lines, down, right,
               c.out.data + (((n0 + n) * groups + g) * c.rows + first) * c.out.plane + y0 * c.out.down + x0 * c.out.right,
               c.out);
    }
  });
}

}  // namespace
}  // namespace scratchnet
