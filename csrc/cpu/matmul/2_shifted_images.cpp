// Convolution, rung 2: the tiles of the matrix product on shifted images; the unfolded matrix never exists.
//
//   y       (F, outputs) = weight (F, terms) views(x)
//   dx      (C, pixels)  = weight^T (C, terms) views(dy), once for every residue of the pixels modulo the stride
//   dweight (terms, F)   = views(x) dy^T, summed over all images
//
// x, dy and the weights are read and the results written about once; in between, a block of sums and a piece of the image stay in
// L2. Each thread computes its own sums, whose order follows from the sizes alone: the same bits for any number of threads.
// Views without the matrix: https://arxiv.org/abs/1907.02129
#include "pack.h"
#include "parallel.h"
#include "shifted.h"

namespace scratchnet {
namespace {

constexpr int64_t SUMS = 1 << 16;    // of a block, in L2
constexpr int64_t BLOCK_ROWS = 252;  // of them, at most
constexpr int64_t POSITIONS = 256;   // outputs that are summed up in registers for dweight
constexpr int64_t TURNED = 1 << 20;  // numbers of dy that are transposed at a time

// The weights in the order in which the tiles read them: (groups, panels of ROWS rows, terms, ROWS).
template <class T>
void pack_weights(const ConvolutionSizes& size, const Views& views, const T* weight, int64_t rows, int64_t row, int64_t channels,
                  int64_t channel, acc_t<T>* packed) {
  const int64_t panels = ceil_div(rows, ROWS), terms = channels * views.taps();
  const int64_t group = size.filters * size.channels * size.kernel[0] * size.kernel[1];
  parallel_for(0, size.groups * panels, 1 + 32768 / (ROWS * terms + 1), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t first = panel % panels * ROWS;
      const T* from = weight + panel / panels * group + first * row;
      for (int64_t c = 0; c < channels; c++)
        for (int64_t r = 0; r < ROWS; r++) {
          auto* to = packed + (panel * terms + c * views.taps()) * ROWS + r;
          for (int64_t i = 0; i < views.y.taps; i++)
            for (int64_t j = 0; j < views.x.taps; j++, to += ROWS) {
              const int64_t y = views.y.index + i * views.y.index_step, x = views.x.index + j * views.x.index_step;
              *to = first + r < rows ? load1(from + r * row + c * channel + y * size.kernel[1] + x) : 0;
            }
        }
    }
  });
}

// Where the results of one correlation lie: element (row, Y, X) at row * plane + Y * down + X * right.
template <class T>
struct Results {
  T* data;
  int64_t plane, down, right;
};

// out (rows) = bias + weight (rows, terms) views(in) for every image and group; weight as pack_weights takes it.
template <class T>
void correlate(const ConvolutionSizes& size, const Axis& y, const Axis& x, const T* weight, int64_t rows, int64_t row,
               int64_t channels, int64_t channel, const T* bias, const T* in, const Results<T>& out) {
  using A = acc_t<T>;
  const Views views(y, x, channels, max(POSITIONS, SUMS / min(max(rows, 1), BLOCK_ROWS)));
  const int64_t terms = channels * views.taps(), depth = piece(terms, DEPTH, 1), panel = terms * ROWS;
  const Buffer<A> packed(size.groups * round_up(rows, ROWS) * terms);
  pack_weights(size, views, weight, rows, row, channels, channel, packed.data);

  const int64_t blocks = size.batch * size.groups * views.down() * views.across();
  if (blocks * rows == 0) return;
  const int64_t share = ceil_div(rows, ceil_div(sn_num_threads(), blocks));  // few blocks: the threads share their rows
  const int64_t height = piece(rows, min(BLOCK_ROWS, share), ROWS), slices = ceil_div(rows, height);
  const int64_t columns = round_up(views.block[0] * views.width, lanes<A>);
  parallel_for(0, blocks * slices, 1 + THREAD_WORK / (height * columns * (terms + 1)), [&](int64_t begin, int64_t end) {
    const Buffer<A> image(views.numbers<A>(channels)), sums(height * columns);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t slice = unit % slices * height, lines = min(height, rows - slice);
      const int64_t x0 = unit / slices % views.across() * views.block[1];
      const int64_t y0 = unit / slices / views.across() % views.down() * views.block[0];
      const int64_t index = unit / slices / views.across() / views.down();  // of the image and its group
      const int64_t down = min(views.block[0], y.out - y0), right = min(views.block[1], x.out - x0);
      const int64_t used = (down - 1) * views.width + right;
      if (terms) views.copy(in + index * channels * y.in * x.in, channels, y0, x0, image.data);
      const A* const a = packed + (index % size.groups * ceil_div(rows, ROWS) + slice / ROWS) * panel;
      int64_t p = 0;
      do {  // once even without a term, which makes zeros
        const int64_t count = min(depth, terms - p);
        const int64_t* const offset = views.offset + p;
        for (int64_t j = 0; j < used; j += COLUMNS<A>) {
          const A* const from = image + j;
          const auto shifted = [=](int64_t q, int v) SN_LAMBDA_INLINE { return from + offset[q] + v * lanes<A>; };
          for (int64_t i = 0; i < lines; i += ROWS)
            fitting_tile<A>(min(ROWS, lines - i), count, packed_rows(a + i / ROWS * panel + p * ROWS), shifted,
                            sums + i * columns + j, columns, min(COLUMNS<A>, used - j), p > 0);
        }
        p += depth;
      } while (p < terms);
      for (int64_t i = 0; i < lines; i++) {
        const A shift = bias ? load1(bias + index % size.groups * rows + slice + i) : A(0);
        for (int64_t at = 0; at < down; at++) {
          const A* from = sums + i * columns + at * views.width;
          T* to = out.data + (index * rows + slice + i) * out.plane + (y0 + at) * out.down + x0 * out.right;
          if (out.right == 1)
            map<T>(0, right, [&](int64_t k, auto get, auto put) SN_LAMBDA_INLINE { put(to + k, get(from + k) + shift); });
          else
            for (int64_t k = 0; k < right; k++) store1(to + k * out.right, from[k] + shift);
        }
      }
    }
  });
}

template <class T>
void forward(const ConvolutionSizes& size, const T* x, const T* weight, const T* bias, T* y) {
  const int64_t taps = size.kernel[0] * size.kernel[1];
  correlate<T>(size, forward_axis(size, 0), forward_axis(size, 1), weight, size.filters, size.channels * taps, size.channels, taps,
               bias, x, {y, size.out[0] * size.out[1], size.out[1], 1});
}

template <class T>
void input_gradient(const ConvolutionSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t taps = size.kernel[0] * size.kernel[1], width = size.in[1];
  for (int64_t i = 0; i < min(size.stride[0], size.in[0]); i++)
    for (int64_t j = 0; j < min(size.stride[1], width); j++)
      correlate<T>(size, backward_axis(size, 0, i), backward_axis(size, 1, j), weight, size.channels, taps, size.filters,
                   size.channels * taps, nullptr, grad,
                   {dx + i * width + j, size.in[0] * width, size.stride[0] * width, size.stride[1]});
}

// One block's part of dweight: sums (terms [begin, end), filters) += views dy^T, for dy (registers of filters, outputs, lanes) with
// `turned` numbers from register to register. Lines are the block's rows, those of image after image.
template <class A>
void add_products(const Views& views, const A* pieces, int64_t piece_size, int64_t begin, int64_t end, int64_t filters,
                  int64_t lines, int64_t down, int64_t right, const A* dy, int64_t turned, int64_t dy_row, A* sums) {
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
        const auto registers = [=](int64_t p, int v) SN_LAMBDA_INLINE { return panel + v * turned + p * lanes<A>; };
        for (int64_t t = begin; t < end; t += ROWS) {
          const A* from[ROWS];
          for (int r = 0; r < ROWS; r++) from[r] = pieces + views.offset[min(t + r, end - 1)] - origin;
          const auto shifted = [&](int64_t p, int r) SN_LAMBDA_INLINE { return from[r][position[p]]; };
          fitting_tile<A>(min(ROWS, end - t), count, shifted, registers, sums + (t - begin) * filters + f, filters,
                          min(COLUMNS<A>, filters - f), true);
        }
      }
    }
}

template <class T>
void weight_gradient(const ConvolutionSizes& size, const T* grad, const T* x, T* dweight) {
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
  const int64_t piece_size = most * views.channel;
  const Buffer<A> turned(size.groups * registers * chunk * outputs * N), sums(size.groups * terms * filters);
  for (int64_t i = 0; i < size.groups * terms * filters; i++) sums[i] = 0;

  for (int64_t n0 = 0; n0 < size.batch; n0 += chunk) {
    const int64_t images = min(chunk, size.batch - n0);
    parallel_for(0, size.groups * registers * images, 1 + 32768 / (N * outputs), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {  // (groups, registers, images, outputs, N)
        const int64_t n = n0 + i % images, g = i / images / registers, f = i / images % registers * N;
        const T* from = grad + ((n * size.groups + g) * filters + f) * outputs;
        pack<N>(from, outputs, 1, min(N, filters - f), outputs, turned + i * outputs * N);
      }
    });
    const int64_t work = share * filters * images * outputs;
    parallel_for(0, size.groups * shares, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
      const Buffer<A> pieces(together * piece_size + COLUMNS<A>);
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
                           pieces + i * piece_size);
              const A* dy = turned + ((g * registers * images + n) * outputs + y0 * size.out[1] + x0) * N;
              add_products(views, pieces.data, piece_size, t0, t1, filters, some * down, down, right, dy, images * outputs * N,
                           size.out[1], sums + (g * terms + t0) * filters);
            }
      }
    });
  }
  constexpr int64_t SQUARE = 16;  // transposed square by square: whole cache lines on both sides
  parallel_for(0, size.groups * ceil_div(filters, SQUARE), 1 + 32768 / (SQUARE * terms), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t g = i / ceil_div(filters, SQUARE), f0 = i % ceil_div(filters, SQUARE) * SQUARE;
      for (int64_t t0 = 0; t0 < terms; t0 += SQUARE)
        for (int64_t f = f0; f < min(filters, f0 + SQUARE); f++)
          for (int64_t t = t0; t < min(terms, t0 + SQUARE); t++)
            store1(dweight + (g * filters + f) * terms + t, sums[(g * terms + t) * filters + f]);
    }
  });
}

template <class T>
void bias_gradient(const ConvolutionSizes& size, const T* grad, T* dbias) {
  using A = acc_t<T>;
  const int64_t filters = size.groups * size.filters, outputs = size.out[0] * size.out[1];
  parallel_for(0, filters, 1 + 32768 / (size.batch * outputs + 1), [&](int64_t begin, int64_t end) {
    for (int64_t f = begin; f < end; f++) {
      double total = 0;
      for (int64_t n = 0; n < size.batch; n++)
        for (int64_t i = 0; i < outputs; i += POSITIONS * lanes<A>) {
          vec<A> sum = {};
          map<T>(i, min(outputs, i + POSITIONS * lanes<A>),
                 [&](int64_t k, auto get, auto) SN_LAMBDA_INLINE { sum += get(grad + (n * filters + f) * outputs + k); });
          total += vsum(sum);
        }
      store1(dbias + f, A(total));
    }
  });
}

template <class T>
void backward(const ConvolutionSizes& size, const T* grad, const T* x, const T* weight, T* dx, T* dweight, T* dbias) {
  if (dx) input_gradient(size, grad, weight, dx);
  if (dweight && size.groups * size.filters * size.channels) weight_gradient(size, grad, x, dweight);
  if (dbias) bias_gradient(size, grad, dbias);
}

}  // namespace

SN_DEFINE_RUNG(ConvolutionKernels, convolution_2) = {
    [](DType dtype, const ConvolutionSizes& size, const void* x, const void* weight, const void* bias, void* y) {
      SN_FLOATS(dtype, forward(size, (const T*)x, (const T*)weight, (const T*)bias, (T*)y));
    },
    [](DType dtype, const ConvolutionSizes& size, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
       void* dbias) {
      SN_FLOATS(dtype, backward(size, (const T*)grad, (const T*)x, (const T*)weight, (T*)dx, (T*)dweight, (T*)dbias));
    },
};

}  // namespace scratchnet
