// Convolution, rung 4: register tiles. A register of a shifted image serves ROWS filters, and a block of sums stays in L2
// (tiles.h).
#include "tiles.h"

namespace scratchnet {
namespace {

template <class T>
void correlate(const Correlation<T>& c) {
  using A = acc_t<T>;
  const Views views(c.y, c.x, c.channels, outputs_of_block(c));
  const int64_t terms = c.terms(), groups = c.size.groups, panels = ceil_div(c.rows, ROWS);
  const Scratch<A> packed(groups, panels, ROWS, terms);
  pack_weights<ROWS>(c, views, 0, groups * panels, packed);

  const int64_t height = piece(c.rows, BLOCK_ROWS, ROWS), columns = round_up(views.numbers(), lanes<A>);
  const Scratch<A> image(product_of(c.channels, views.channel) + COLUMNS<A>), sums(height, columns);
  for (int64_t plane = 0; plane < c.size.batch * groups; plane++)  // (batch, groups)
    for (int64_t y0 = 0; y0 < c.y.out; y0 += views.block[0])
      for (int64_t x0 = 0; x0 < c.x.out; x0 += views.block[1]) {
        const int64_t down = min(views.block[0], c.y.out - y0), right = min(views.block[1], c.x.out - x0);
        const int64_t g = plane % groups;
        if (terms) views.copy(c.in + plane * c.channels * c.y.in * c.x.in, c.channels, y0, x0, image.data());
        for (int64_t first = 0; first < c.rows; first += height) {
          const int64_t lines = min(height, c.rows - first);
          const A* const from = packed.at((g * panels * ROWS + first) * terms, round_up(lines, ROWS) * terms);
          multiply(views, lines, terms, Weights<A>{from, terms, 1, ROWS}, 1, image.data(), image.size,
                   (down - 1) * views.width + right, sums.at(0, lines * columns), columns);
          finish(sums.data(), columns, views.width, c.bias_of(g, first), lines, down, right,
                 c.result(g, plane / groups, first) + y0 * c.out.down + x0 * c.out.right, c.out);
        }
      }
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_4) = {correlation_forward, SN_FROM(conv2d_kernels(2), backward)};

}  // namespace scratchnet
