// Convolution, rung 9: filters fill the registers, outputs are the rows.
//
// A register of rung 4 holds neighbouring numbers of the image in its frame, and those between two rows belong to no output: of
// rows of 7 outputs 8 or 9 numbers are computed. Here the weights are packed into panels of COLUMNS filters, and a tile has
// ROWS outputs, wherever each of them lies: a number of the image is broadcast and meets whole registers of filters. The sums
// lie as (outputs, filters) and are transposed in the end. Each has the additions of rung 4 in their order: the same bits.
#include "cpu/ladder.h"
#include "gradient.h"
#include "thread_tiles.h"

namespace scratchnet {
namespace {

// Where the outputs of a block are in the pieces of its images.
void find_outputs(const Views& views, const Block& b, int64_t piece_size, const Scratch<int64_t>& position) {
  int64_t o = 0;
  for (int64_t n = 0; n < b.images; n++)
    for (int64_t y = 0; y < b.down; y++)
      for (int64_t x = 0; x < b.right; x++) position[o++] = n * piece_size + y * views.width + x;
}

// sums (outputs, COLUMNS) = the views of the outputs, (outputs, terms), times a panel of weights for `filters` filters.
template <class A>
void multiply_panel(const Views& views, const Scratch<int64_t>& position, const Scratch<A>& pieces, const A* panel,
                    int64_t filters, A* sums) {
  const int64_t terms = views.offset.size, depth = piece(terms, DEPTH, 1), outputs = position.size;
  for (int64_t p = 0; p < terms; p += depth) {
    const int64_t count = min(depth, terms - p);
    const int64_t* const offset = views.offset.at(p, count);
    for (int64_t o = 0; o < outputs; o += ROWS) {
      const A* from[ROWS];
      for (int r = 0; r < ROWS; r++) from[r] = pieces.at(position[min(o + r, outputs - 1)], views.last + 1);
      const auto shifted = [=](int64_t q, int r) SN_LAMBDA_INLINE { return from[r][offset[q]]; };
      fitting_tile<A>(min(ROWS, outputs - o), count, shifted, packed_columns(panel + p * COLUMNS<A>), sums + o * COLUMNS<A>,
                      COLUMNS<A>, filters, p > 0);
    }
  }
}

// turned (a register of filters, columns) = sums (outputs, COLUMNS)^T
template <class A>
void turn(const A* sums, int64_t outputs, A* turned, int64_t columns) {
  constexpr int64_t N = lanes<A>;
  for (int64_t o = 0; o < outputs; o += N) {
    vec<A> square[N];
#pragma GCC unroll 16
    for (int64_t i = 0; i < N; i++) square[i] = o + i < outputs ? load(sums + (o + i) * COLUMNS<A>) : vec<A>{};
    transpose<A>(square);
#pragma GCC unroll 16
    for (int64_t i = 0; i < N; i++) store(turned + i * columns + o, square[i]);
  }
}

// Whether that is less work, as it is where rows are short. There have to be two registers of filters: the sums of one are too
// few for the multiply-adds that a CPU has under way (16 filters with AVX-512: 0.78 of rung 8's speed). And weights that rung 8
// reads where they lie have to meet enough outputs to make up for packing them (512 filters, 49 outputs: 0.96). Packing wakes
// the threads once more: one image of ResNet-18 had 0.98 to 1.08 of rung 8's speed with AVX-512 and two threads that spin, 0.87
// to 1.01 with two that sleep.
template <class T>
bool outputs_are_rows(const Correlation<T>& c, const Views& views) {
  constexpr int64_t N = lanes<acc_t<T>>;
  const int64_t outputs = c.y.out * c.x.out, numbers = (c.y.out - 1) * views.width + c.x.out;
  return c.rows >= 2 * N && c.terms() && outputs * round_up(c.rows, N) < round_up(numbers, N) * c.rows &&
         (c.size.batch * outputs >= 128 || !in_place(c, views));
}

template <class T>
void correlate(const Correlation<T>& c) {
  using A = acc_t<T>;
  constexpr int64_t N = lanes<A>, MOST = 2 * BLOCK_ROWS;  // filters that share a copy of the image
  const Views views(c.y, c.x, c.channels, outputs_of_block(c));
  if (!outputs_are_rows(c, views)) return correlate_tiles(c);
  const int64_t terms = c.terms(), panels = ceil_div(c.rows, COLUMNS<A>), panel_size = product_of(COLUMNS<A>, terms);
  const Scratch<A> packed(c.size.groups, panels, panel_size);
  parallel_for(0, c.size.groups * panels, 1 + GRAIN / panel_size,
               [&](int64_t begin, int64_t end) { pack_weights<COLUMNS<A>>(c, views, begin, end, packed); });
  for_each_block(
      c, views, COLUMNS<A>, MOST,
      [&](const Block& b, const Scratch<A>& pieces, int64_t piece_size, const Scratch<A>& sums, int64_t columns) {
        const int64_t own = b.down * b.right, outputs = b.images * own;
        const bool joined = c.out.right == 1 && c.out.down == b.right;  // the rows follow each other in the results
        const Scratch<int64_t> position(outputs);
        const Scratch<A> turned(N, columns);
        find_outputs(views, b, piece_size, position);
        for (int64_t f = b.first; f < b.first + b.rows; f += N) {
          const int64_t in_panel = f % COLUMNS<A>, left = b.first + b.rows - f;
          if (in_panel == 0)
            multiply_panel(views, position, pieces, packed.at((b.group * panels + f / COLUMNS<A>)*panel_size, panel_size),
                           min(COLUMNS<A>, left), sums.at(0, outputs * COLUMNS<A>));
          for (int64_t n = 0; n < b.images; n++) {
            turn(sums.data() + n * own * COLUMNS<A> + in_panel, own, turned.data(), columns);
            finish(turned.data(), columns, b.right, c.bias_of(b.group, f), min(N, left), joined ? 1 : b.down,
                   joined ? own : b.right, c.result(b.group, b.image + n, f) + b.y * c.out.down + b.x * c.out.right, c.out);
          }
        }
      });
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_9) = {
    [](const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias, void* y) {
      (size.filters > FEW_FILTERS ? correlation_forward : conv2d_kernels(8).forward)(on, size, x, weight, bias, y);
    },
    [](const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
       void* dbias) {
      if (dx && size.channels > FEW_FILTERS && !dx_is_product(size))
        SN_TYPED(any_input_gradient)(on, size, grad, weight, dx), dx = nullptr;
      conv2d_kernels(8).backward(on, size, grad, x, weight, dx, dweight, dbias);
    },
};

}  // namespace scratchnet
