// A block of a correlation's sums by the tiles of the matrix product: rows of weights times shifted images.
#pragma once
#include "correlation.h"
#include "cpu/matmul/pack.h"

namespace scratchnet {
namespace {

constexpr int64_t SUMS = 1 << 16;    // of a block, in L2
constexpr int64_t BLOCK_ROWS = 264;  // of them, at most

// About as many outputs as one block of them has.
template <class T>
int64_t outputs_of_block(const Correlation<T>& c) {
  return max(POSITIONS, SUMS / min(max(c.rows, 1), BLOCK_ROWS));
}

// Whether the weights of a row follow each other as the terms do: those of y.
template <class T>
bool in_order(const Correlation<T>& c, const Views& views) {
  return views.taps() && c.channel == views.taps() && views.place[views.taps() - 1] == views.taps() - 1;
}

// The weights in the order in which the tiles read them, (groups, panels of W rows, terms, W); panels [begin, end) of all
// groups.
template <int W, class T>
void pack_weights(const Correlation<T>& c, const Views& views, int64_t begin, int64_t end, const Scratch<acc_t<T>>& packed) {
  const int64_t panels = ceil_div(c.rows, W), terms = c.terms(), taps = views.taps();
  const bool whole = in_order(c, views);
  // All terms of a row, or the taps of one channel for all panels, which are neighbours in dx's weights.
  for (int64_t k = 0; k < (whole ? 1 : c.channels); k++)
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t first = panel % panels * W, lines = min(W, c.rows - first);
      const T* from = c.row_of(panel / panels, first) + k * c.channel;
      auto* to = packed.at((panel * terms + k * taps) * W, (whole ? terms : taps) * W);
      if (whole) {
        pack<W>(from, c.row, 1, lines, terms, to);
        continue;
      }
      for (int64_t t = 0; t < taps; t++, to += W) {
        for (int64_t r = 0; r < lines; r++) to[r] = load1(from + views.place[t] + r * c.row);
        for (int64_t r = lines; r < W; r++) to[r] = 0;
      }
    }
}

// Numbers of the weights, from row i and term p on: packed, or where they lie.
template <class A>
struct Weights {
  const A* from;
  int64_t row, line, step;  // from row to row, to the next one of a tile, and from term to term
  auto at(int64_t i, int64_t p) const { return packed_rows(from + i * row + p * step, line, step); }
};

// sums (images, rows, columns) = a (rows, terms) views of a piece of each image.
template <class A>
void multiply(const Views& views, int64_t rows, int64_t terms, const Weights<A>& a, int64_t images, const A* pieces,
              int64_t piece_size, int64_t used, A* sums, int64_t columns) {
  const int64_t depth = piece(terms, DEPTH, 1);
  int64_t p = 0;
  do {  // once even without a term, which makes zeros
    const int64_t count = min(depth, terms - p);
    const int64_t* const offset = views.offset.at(p, count);
    for (int64_t image = 0; image < images; image++)
      for (int64_t j = 0; j < used; j += COLUMNS<A>) {
        const A* const from = pieces + image * piece_size + j;
        const auto shifted = [=](int64_t q, int v) SN_LAMBDA_INLINE { return load(from + offset[q] + v * lanes<A>); };
        for (int64_t i = 0; i < rows; i += ROWS)
          fitting_tile<A>(min(ROWS, rows - i), count, a.at(i, p), shifted, sums + (image * rows + i) * columns + j, columns,
                          min(COLUMNS<A>, used - j), p > 0);
      }
    p += depth;
  } while (p < terms);
}

}  // namespace
}  // namespace scratchnet
