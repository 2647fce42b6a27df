// Convolution, rung 6: few filters for each group of channels, one of each in a depthwise convolution. The tiles of the matrix
// product would have a row or two, and load a register for every multiply-add. Here a register of the image is loaded once for
// all taps of a column of the kernel, and meets as many rows of the output:
//
//   y[Y]  +=  w[0] x[Y] + w[1] x[Y + 1] + ...      x[Y + i] is needed by the rows Y, ..., Y + i: 8 rows and 7 taps load 14
//                                                  registers for 56 multiply-adds
#include "gradient.h"
#include "runs.h"
#include "thread_tiles.h"

namespace scratchnet {
namespace {

// sum[r] += the sum over i < N of w[i] x[r + i], with `width` numbers from row to row.
template <class A, int N>
SN_INLINE void add_run(const A* x, int64_t width, const A* w, vec<A> (&sum)[HIGH]) {
  vec<A> weight[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; i++) weight[i] = splat(w[i]);
#pragma GCC unroll 16
  for (int row = 0; row < HIGH + N - 1; row++) {
    const vec<A> numbers = load(x + row * width);
#pragma GCC unroll 16
    for (int i = 0; i < N; i++)
      if (0 <= row - i && row - i < HIGH) sum[row - i] += weight[i] * numbers;
  }
}

// The outputs of one row of weights w, as the runs take them, for a block of down x right outputs.
template <class T>
void add_runs(const Views& views, const Runs& runs, const acc_t<T>* image, const acc_t<T>* w, acc_t<T> bias, int64_t down,
              int64_t right, T* to, const Results<T>& out) {
  using A = acc_t<T>;
  for (int64_t y = 0; y < down; y += HIGH)
    for (int64_t x = 0; x < right; x += lanes<A>) {
      vec<A> sum[HIGH];
#pragma GCC unroll 16
      for (int r = 0; r < HIGH; r++) sum[r] = splat(bias);
      for (int64_t k = 0; k < runs.count; k++)
        with_length(runs.run[k].count, [&](auto length) SN_LAMBDA_INLINE {
          add_run<A, length()>(image + runs.run[k].offset + y * views.width + x, views.width, w + k * RUN, sum);
        });
      const int64_t n = min(lanes<A>, right - x);
#pragma GCC unroll 16
      for (int r = 0; r < HIGH; r++) {
        if (y + r >= down) break;
        T* const line = to + (y + r) * out.down + x * out.right;
        if (out.right == 1 && n == lanes<A>) store(line, sum[r]);
        else if (out.right == 1) store_tail(line, sum[r], n);
        else
          for (int64_t i = 0; i < n; i++) store1(line + i * out.right, sum[r][i]);
      }
    }
}

template <class T>
void correlate_few(const Correlation<T>& c) {
  using A = acc_t<T>;
  constexpr int64_t OUTPUTS = 4096;  // of a block, whose image stays in L1
  const Views views(c.y, c.x, c.channels, max(1, OUTPUTS / max(1, c.channels)));
  const Runs runs(views, c.channels);
  const int64_t groups = c.size.groups, rows = c.rows, lined_up = runs.count * RUN;
  const Scratch<A> packed(groups, rows, lined_up);
  const auto term_of = [&](int64_t t) { return t / views.taps() * c.channel + views.place[t % views.taps()]; };
  parallel_for(0, groups * rows, 1 + GRAIN / (lined_up + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t k = 0; k < runs.count; k++)
        for (int64_t j = 0; j < runs.run[k].count; j++)
          packed[i * lined_up + k * RUN + j] = load1(c.row_of(i / rows, i % rows) + term_of(runs.run[k].term[j]));
  });

  const int64_t pieces = views.down() * views.across(), outputs = views.block[0] * views.block[1];
  const int64_t work = max(1, outputs * rows * c.terms());
  parallel_for(0, c.size.batch * groups * pieces, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
    // A block of rows and a register may reach past the last channel; what they find there is not stored.
    const Scratch<A> image(product_of(c.channels, views.channel) + HIGH * views.width + COLUMNS<A>);
    fill_zeros(image);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t x0 = unit % views.across() * views.block[1], right = min(views.block[1], c.x.out - x0);
      const int64_t y0 = unit % pieces / views.across() * views.block[0], down = min(views.block[0], c.y.out - y0);
      const int64_t plane = unit / pieces, g = plane % groups;  // (batch, groups)
      views.copy(c.in + plane * c.channels * c.y.in * c.x.in, c.channels, y0, x0, image.data(), pieces > 1 || unit == begin);
      for (int64_t i = 0; i < rows; i++)
        add_runs(views, runs, image.data(), packed.at((g * rows + i) * lined_up, lined_up),
                 c.bias ? load1(c.bias + g * rows + i) : A(0), down, right,
                 c.out.data + (plane * rows + i) * c.out.plane + y0 * c.out.down + x0 * c.out.right, c.out);
    }
  });
}

template <class T>
void correlate(const Correlation<T>& c) {
  if (c.rows <= FEW_FILTERS && c.terms() <= DEPTH) correlate_few(c);
  else correlate_tiles(c);
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_6) = {correlation_forward, correlation_backward};

}  // namespace scratchnet
