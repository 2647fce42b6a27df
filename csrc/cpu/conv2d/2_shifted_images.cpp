// Convolution, rung 2: the tiles of the matrix product on shifted images; the unfolded matrix never exists. What is a matrix
// product anyway is one (products.h), and few filters have tiles of their own (few_filters.h).
//
//   y       (F, outputs) = weight (F, terms) views(x)
//   dx      (C, pixels)  = weight^T (C, terms) views(dy), once for every residue of the pixels modulo the stride
//   dweight (terms, F)   = views(x) dy^T, summed over all images
//
// x, dy and the weights are read and the results written about once; in between, a block of sums and a piece of the image stay
// in L2. Each thread has its own sums, in an order that follows from the sizes alone: the same bits for any number of threads.
// Views without the matrix: https://arxiv.org/abs/1907.02129
#include "cpu/ladder.h"
#include "products.h"
#include "weight_gradient.h"

namespace scratchnet {
namespace {

constexpr int64_t SUMS = 1 << 16;    // of a block, in L2
constexpr int64_t BLOCK_ROWS = 264;  // of them, at most

// The weights in the order in which the tiles read them, (groups, panels of ROWS rows, terms, ROWS); from one row to the next
// there are `row` numbers, from channel to channel `channel`.
template <class T>
void pack_weights(const Conv2dSizes& size, const Views& views, const T* weight, int64_t rows, int64_t row, int64_t channels,
                  int64_t channel, const Scratch<acc_t<T>>& packed) {
  const int64_t panels = ceil_div(rows, ROWS), terms = channels * views.taps();
  const int64_t group = size.filters * size.channels * size.kernel[0] * size.kernel[1];
  parallel_for(0, size.groups * panels, 1 + GRAIN / (ROWS * terms + 1), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t first = panel % panels * ROWS, lines = min(ROWS, rows - first);
      const T* from = weight + panel / panels * group + first * row;
      auto* to = packed.at(panel * terms * ROWS, terms * ROWS);
      for (int64_t t = 0; t < terms; t++, to += ROWS) {
        const T* at = from + t / views.taps() * channel + views.place[t % views.taps()];
        for (int64_t r = 0; r < lines; r++) to[r] = load1(at + r * row);
        for (int64_t r = lines; r < ROWS; r++) to[r] = 0;
      }
    }
  });
}

// sums (images, rows, columns) = a (rows, terms) views of a piece of each image; a begins with the first row's panel.
template <class A>
void multiply(const Views& views, int64_t rows, int64_t terms, const A* a, int64_t images, const A* pieces, int64_t piece_size,
              int64_t used, A* sums, int64_t columns) {
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
          fitting_tile<A>(min(ROWS, rows - i), count, packed_rows(a + i * terms + p * ROWS), shifted,
                          sums + (image * rows + i) * columns + j, columns, min(COLUMNS<A>, used - j), p > 0);
      }
    p += depth;
  } while (p < terms);
}

// The sums (rows, down, width) and the bias of each row, to their place.
template <class T>
void finish(const acc_t<T>* sums, int64_t columns, int64_t width, const T* bias, int64_t rows, int64_t down, int64_t right,
            T* to, const Results<T>& out) {
  for (int64_t i = 0; i < rows; i++) {
    const acc_t<T> shift = bias ? load1(bias + i) : 0;
    for (int64_t y = 0; y < down; y++) {
      const acc_t<T>* from = sums + i * columns + y * width;
      T* line = to + i * out.plane + y * out.down;
      if (out.right == 1)
        map<T>(0, right, [&](int64_t x, auto get, auto put) SN_LAMBDA_INLINE { put(line + x, get(from + x) + shift); });
      else
        for (int64_t x = 0; x < right; x++) store1(line + x * out.right, from[x] + shift);
    }
  }
}

// out (rows) = bias + weight (rows, terms) views(in) for every image and group; weight as pack_weights takes it.
template <class T>
void correlate(const Conv2dSizes& size, const Axis& y, const Axis& x, const T* weight, int64_t rows, int64_t row,
               int64_t channels, int64_t channel, const T* bias, const T* in, const Results<T>& out) {
  using A = acc_t<T>;
  if (rows <= FEW_FILTERS && channels * y.taps * x.taps <= DEPTH)
    return correlate_few(size, y, x, weight, rows, row, channels, channel, bias, in, out);
  const Views views(y, x, channels, max(POSITIONS, SUMS / min(max(rows, 1), BLOCK_ROWS)));
  const int64_t terms = channels * views.taps(), groups = size.groups, panels = ceil_div(rows, ROWS);
  const Scratch<A> packed(groups, panels, ROWS, terms);
  pack_weights(size, views, weight, rows, row, channels, channel, packed);

  const int64_t pieces = views.down() * views.across();
  const int64_t together = pieces == 1 ? max(1, POSITIONS / max(1, y.out * x.out)) : 1;  // small images share the weights in L2
  const int64_t blocks = ceil_div(size.batch, together) * groups * pieces;
  if (blocks * rows == 0) return;
  const int64_t share = ceil_div(rows, ceil_div(sn_num_threads(), blocks));  // few blocks: the threads share their rows
  const int64_t height = piece(rows, min(BLOCK_ROWS, share), ROWS), slices = ceil_div(rows, height);
  const int64_t columns = round_up(views.block[0] * views.width, lanes<A>), work = height * columns * together * (terms + 1);
  const int64_t piece_size = product_of(channels, views.channel);
  parallel_for(0, blocks * slices, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
    const Scratch<A> image(product_of(together, piece_size) + COLUMNS<A>), sums(together, height, columns);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t first = unit % slices * height, lines = min(height, rows - first);
      const int64_t x0 = unit / slices % views.across() * views.block[1], right = min(views.block[1], x.out - x0);
      const int64_t y0 = unit / slices % pieces / views.across() * views.block[0], down = min(views.block[0], y.out - y0);
      const int64_t g = unit / slices / pieces % groups, n0 = unit / slices / pieces / groups * together;
      const int64_t images = min(together, size.batch - n0);
      for (int64_t n = 0; n < images && terms; n++)
        views.copy(in + ((n0 + n) * groups + g) * channels * y.in * x.in, channels, y0, x0,
                   image.at(n * piece_size, piece_size + COLUMNS<A>));
      multiply(views, lines, terms, packed.at((g * panels * ROWS + first) * terms, round_up(lines, ROWS) * terms), images,
               image.data(), piece_size, (down - 1) * views.width + right, sums.at(0, images * lines * columns), columns);
      for (int64_t n = 0; n < images; n++)
        finish(sums.at(n * lines * columns, lines * columns), columns, views.width, bias ? bias + g * rows + first : nullptr,
               lines, down, right,
               out.data + (((n0 + n) * groups + g) * rows + first) * out.plane + y0 * out.down + x0 * out.right, out);
    }
  });
}

template <class T>
void forward(const Conv2dSizes& size, const T* x, const T* weight, const T* bias, T* y) {
  const int64_t taps = size.kernel[0] * size.kernel[1];
  correlate<T>(size, forward_axis(size, 0), forward_axis(size, 1), weight, size.filters, size.channels * taps, size.channels,
               taps, bias, x, {y, size.out[0] * size.out[1], size.out[1], 1});
}

template <class T>
void input_gradient(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t taps = size.kernel[0] * size.kernel[1], width = size.in[1];
  for (int64_t i = 0; i < min(size.stride[0], size.in[0]); i++)
    for (int64_t j = 0; j < min(size.stride[1], width); j++)
      correlate<T>(size, backward_axis(size, 0, i), backward_axis(size, 1, j), weight, size.channels, taps, size.filters,
                   size.channels * taps, nullptr, grad,
                   {dx + i * width + j, size.in[0] * width, size.stride[0] * width, size.stride[1]});
}

template <class T>
void bias_gradient(const Conv2dSizes& size, const T* grad, T* dbias) {
  using A = acc_t<T>;
  const int64_t filters = size.groups * size.filters, outputs = size.out[0] * size.out[1];
  parallel_for(0, filters, 1 + GRAIN / (size.batch * outputs + 1), [&](int64_t begin, int64_t end) {
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

// dx += the terms of the weights that are not finite, for the outputs that exist.
template <class T>
void add_infinite_terms(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t outputs = size.out[0] * size.out[1], taps = size.kernel[0] * size.kernel[1];
  parallel_for(0, size.batch * size.groups * size.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; plane++) {  // (batch, groups, channels)
      T* const to = dx + plane * size.in[0] * size.in[1];
      for (int64_t f = 0; f < size.filters; f++) {
        const T* dy = grad + (plane / size.channels * size.filters + f) * outputs;
        const int64_t row = plane / size.channels % size.groups * size.filters + f;
        for (int64_t tap = 0; tap < taps; tap++) {
          const auto w = load1(weight + (row * size.channels + plane % size.channels) * taps + tap);
          if (__builtin_isfinite(w)) continue;
          for (int64_t o = 0; o < outputs; o++) {
            const int64_t y = o / size.out[1] * size.stride[0] - size.padding[0] + tap / size.kernel[1] * size.dilation[0];
            const int64_t x = o % size.out[1] * size.stride[1] - size.padding[1] + tap % size.kernel[1] * size.dilation[1];
            if (y < 0 || y >= size.in[0] || x < 0 || x >= size.in[1]) continue;
            store1(to + y * size.in[1] + x, load1(to + y * size.in[1] + x) + w * load1(dy + o));
          }
        }
      }
    }
  });
}

// dx, also for weights that are not finite: they must not meet the zeros of the frame, which stand for outputs that do not
// exist.
template <class T>
void any_input_gradient(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t count = size.groups * size.filters * size.channels * size.kernel[0] * size.kernel[1];
  bool all = true;
  for (int64_t i = 0; i < count; i++) all &= bool(__builtin_isfinite(load1(weight + i)));
  if (all) return input_gradient(size, grad, weight, dx);
  const Scratch<T> finite(count);
  for (int64_t i = 0; i < count; i++) finite[i] = __builtin_isfinite(load1(weight + i)) ? weight[i] : T{};
  input_gradient(size, grad, finite.data(), dx);
  add_infinite_terms(size, grad, weight, dx);
}

template <class T>
void backward(const Conv2dSizes& size, const T* grad, const T* x, const T* weight, T* dx, T* dweight, T* dbias) {
  if (dx) any_input_gradient(size, grad, weight, dx);
  if (dweight && size.filters > 0 && size.channels > 0) weight_gradient(size, grad, x, dweight);
  if (dbias) bias_gradient(size, grad, dbias);
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_2) = {
    [](const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias, void* y) {
      if (!product_forward(on, size, x, weight, bias, y)) SN_TYPED(forward)(on, size, x, weight, bias, y);
    },
    [](const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
       void* dbias) {
      if (dx && product_dx(on, size, grad, weight, dx)) dx = nullptr;
      if (dweight && product_dweight(on, size, grad, x, dweight)) dweight = nullptr;
      SN_TYPED(backward)(on, size, grad, x, weight, dx, dweight, dbias);
    },
};

}  // namespace scratchnet
