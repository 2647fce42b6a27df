// Convolution, rung 8: the gradient of the filters by tiles: dweight (F, terms) = dy (F, outputs) views(x)^T, summed over all
// images.
//
// The sums lie as (terms, F) until the end: a number of the image meets whole registers of dy, which is transposed first.
// How the outputs are cut into chains of additions follows from the sizes alone; the threads share the terms.
#include "cpu/ladder.h"
#include "cpu/matmul/pack.h"
#include "cpu/parallel.h"
#include "products.h"
#include "shifted.h"

namespace scratchnet {
namespace {

constexpr int64_t TURNED = 1 << 20;  // numbers of dy that are transposed at a time

// One block's part: sums (terms [begin, end), filters) = [sums +] views dy^T. dy is (registers of filters, outputs, lanes),
// with `turned` numbers from register to register. Lines are the rows of the block, image after image.
template <class A>
void add_products(const Views& views, const A* pieces, int64_t piece_size, int64_t begin, int64_t end, int64_t filters,
                  int64_t lines, int64_t down, int64_t right, const A* dy, int64_t turned, int64_t dy_row, A* sums, bool add) {
  const int64_t origin = begin / views.taps() * views.channel;  // the pieces begin with the first term's channel
  const int64_t some_lines = right == dy_row ? max(1, POSITIONS / right) : 1, part = piece(right, POSITIONS, 1);
  int64_t position[POSITIONS];
  for (int64_t line = 0; line < lines; line += some_lines)
    for (int64_t x = 0; x < right; x += part) {
      int64_t count = 0;
      for (int64_t l = line; l < min(lines, line + some_lines); l++)
        for (int64_t k = x; k < min(right, x + part); k++)
          position[count++] = l / down * piece_size + l % down * views.width + k;
      for (int64_t f = 0; f < filters; f += COLUMNS<A>) {
        const A* const panel = dy + f / lanes<A> * turned + (line * dy_row + x) * lanes<A>;
        const auto registers = [=](int64_t p, int v) SN_LAMBDA_INLINE { return load(panel + v * turned + p * lanes<A>); };
        for (int64_t t = begin; t < end; t += ROWS) {
          const A* from[ROWS];
          for (int r = 0; r < ROWS; r++) from[r] = pieces + views.offset[min(t + r, end - 1)] - origin;
          const auto shifted = [&](int64_t p, int r) SN_LAMBDA_INLINE { return from[r][position[p]]; };
          fitting_tile<A>(min(ROWS, end - t), count, shifted, registers, sums + (t - begin) * filters + f, filters,
                          min(COLUMNS<A>, filters - f), add || line + x > 0);
        }
      }
    }
}

template <class T>
void weight_gradient(const Conv2dSizes& size, const T* grad, const T* x, T* dweight) {
  using A = acc_t<T>;
  constexpr int64_t N = lanes<A>;
  const Views views(forward_axis(size, 0), forward_axis(size, 1), size.channels, 4 * POSITIONS);
  const int64_t taps = views.taps(), terms = size.channels * taps, filters = size.filters, outputs = size.out[0] * size.out[1];
  const int64_t registers = ceil_div(filters, N), pixels = size.in[0] * size.in[1];
  const bool whole = views.down() * views.across() == 1;
  const int64_t together = whole ? max(1, POSITIONS / outputs) : 1;  // small images: several in a block
  const int64_t chunk = min(size.batch, round_up(max(1, TURNED / (size.groups * registers * N * outputs)), together));
  const int64_t share = min(terms, round_up(ceil_div(terms, ceil_div(2 * sn_num_threads(), size.groups)), ROWS));
  const int64_t shares = ceil_div(terms, share), most = min(size.channels, (share - 2 + taps) / taps + 1);
  const int64_t piece_size = product_of(most, views.channel);
  const Scratch<A> turned(size.groups, registers, chunk, outputs, N), sums(size.groups, terms, filters);

  for (int64_t n0 = 0; n0 < size.batch; n0 += chunk) {
    const int64_t images = min(chunk, size.batch - n0);
    parallel_for(0, size.groups * registers * images, 1 + GRAIN / (N * outputs), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {  // (groups, registers, images, outputs, N)
        const int64_t n = n0 + i % images, g = i / images / registers, f = i / images % registers * N;
        const T* from = grad + ((n * size.groups + g) * filters + f) * outputs;
        pack<N>(from, outputs, 1, min(N, filters - f), outputs, turned.at(i * outputs * N, outputs * N));
      }
    });
    const int64_t work = share * filters * images * outputs;
    parallel_for(0, size.groups * shares, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
      const Scratch<A> pieces(product_of(together, piece_size) + COLUMNS<A>);
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t g = unit / shares, t0 = unit % shares * share, t1 = min(terms, t0 + share);
        const int64_t c0 = t0 / taps, channels = (t1 - 1) / taps + 1 - c0;
        for (int64_t n = 0; n < images; n += together)
          for (int64_t y0 = 0; y0 < size.out[0]; y0 += views.block[0])
            for (int64_t x0 = 0; x0 < size.out[1]; x0 += views.block[1]) {
              const int64_t some = min(together, images - n);
              const int64_t down = min(views.block[0], size.out[0] - y0), right = min(views.block[1], size.out[1] - x0);
              for (int64_t i = 0; i < some; i++)
                views.copy(x + (((n0 + n + i) * size.groups + g) * size.channels + c0) * pixels, channels, y0, x0,
                           pieces.at(i * piece_size, channels * views.channel + COLUMNS<A>));
              const A* dy = turned.data() + ((g * registers * images + n) * outputs + y0 * size.out[1] + x0) * N;
              add_products(views, pieces.data(), piece_size, t0, t1, filters, some * down, down, right, dy,
                           images * outputs * N, size.out[1], sums.at((g * terms + t0) * filters, (t1 - t0) * filters),
                           n0 + n + y0 + x0 > 0);
            }
      }
    });
  }
  constexpr int64_t SQUARE = 16;  // transposed square by square: whole cache lines on both sides
  parallel_for(0, size.groups * ceil_div(filters, SQUARE), 1 + GRAIN / (SQUARE * terms), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t g = i / ceil_div(filters, SQUARE), f0 = i % ceil_div(filters, SQUARE) * SQUARE;
      for (int64_t t0 = 0; t0 < terms; t0 += SQUARE)
        for (int64_t f = f0; f < min(filters, f0 + SQUARE); f++)
          for (int64_t t = t0; t < min(terms, t0 + SQUARE); t++)
            store1(dweight + (g * filters + f) * terms + t, sums[(g * terms + t) * filters + f]);
    }
  });
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_8) = {
    SN_FROM(conv2d_kernels(6), forward),
    [](const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
       void* dbias) {
      if (dweight && size.batch && size.filters > FEW_FILTERS && size.channels && !dweight_is_product(on, size))
        SN_TYPED(weight_gradient)(on, size, grad, x, dweight), dweight = nullptr;
      conv2d_kernels(7).backward(on, size, grad, x, weight, dx, dweight, dbias);
    },
};

}  // namespace scratchnet
