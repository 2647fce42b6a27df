// Few filters for each group of channels, one of each in a depthwise convolution: the tiles of the matrix product would have a
// row or two, and load a register for every multiply-add. Here a register of the image is loaded once for all taps of a column
// of the kernel, and meets as many rows of the output:
//
//   y[Y]  +=  w[0] x[Y] + w[1] x[Y + 1] + ...      x[Y + i] is needed by the rows Y, ..., Y + i: 8 rows and 7 taps load 14
//                                                  registers for 56 multiply-adds
#pragma once
#include <type_traits>

#include "cpu/parallel.h"
#include "shifted.h"

namespace scratchnet {
namespace {

constexpr int HIGH = 8;                           // rows of the output: as many registers of sums
constexpr int RUN = ROWS * VECTORS > 16 ? 7 : 4;  // taps at a time, in registers beside the sums
constexpr int64_t FEW_FILTERS = 4;                // of a group

// Taps that meet neighbouring rows of a view: `count` of them, the first at `offset`, and where they are among the terms.
struct Run {
  int64_t offset, count, term[RUN];
};

// All terms, cut into runs.
struct Runs {
  Scratch<Run> run;
  int64_t count = 0;

  Runs(const Views& views, int64_t channels) : run(product_of(channels, views.taps())) {
    const Axis &y = views.y, &x = views.x;
    const int64_t step = y.shift_step < 0 ? -y.shift_step : y.shift_step;
    for (int64_t column = 0; column < channels * x.taps; column++)
      for (int64_t residue = 0; residue < views.residues[0]; residue++) {
        int64_t length = 0;
        for (int64_t up = residue; up <= y.reach() && y.taps; up += y.stride) {  // tap number up / step, counted from the top
          if (up % step) {
            length = 0;
            continue;
          }
          const int64_t tap = y.shift_step < 0 ? y.taps - 1 - up / step : up / step;
          const int64_t term = (column / x.taps * y.taps + tap) * x.taps + column % x.taps;
          if (length % RUN == 0) run[count++] = {views.offset[term], 0, {}};
          Run& last = run[count - 1];
          last.term[last.count++] = term;
          length++;
        }
      }
  }
};

// f(constant N) for a run of N taps.
template <int N = RUN, class F>
SN_INLINE void with_length(int64_t count, const F& f) {
  if constexpr (N > 1)
    if (count < N) return with_length<N - 1>(count, f);
  f(std::integral_constant<int, N>());
}

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

// Where the results of one correlation lie: element (row, Y, X) of an image's group at row * plane + Y * down + X * right.
template <class T>
struct Results {
  T* data;
  int64_t plane, down, right;
};

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

// out (rows) = bias + weight (rows, terms) views(in) for every image and group, as `correlate` of the rung has it.
template <class T>
void correlate_few(const Conv2dSizes& size, const Axis& y, const Axis& x, const T* weight, int64_t rows, int64_t row,
                   int64_t channels, int64_t channel, const T* bias, const T* in, const Results<T>& out) {
  using A = acc_t<T>;
  constexpr int64_t OUTPUTS = 4096;  // of a block, whose image stays in L1
  const Views views(y, x, channels, max(1, OUTPUTS / max(1, channels)));
  const Runs runs(views, channels);
  const int64_t groups = size.groups, group = size.filters * size.channels * size.kernel[0] * size.kernel[1];
  const int64_t taps = views.taps(), lined_up = runs.count * RUN;
  const Scratch<A> packed(groups, rows, lined_up);
  parallel_for(0, groups * rows, 1 + GRAIN / (lined_up + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t k = 0; k < runs.count; k++)
        for (int64_t j = 0; j < runs.run[k].count; j++) {
          const int64_t term = runs.run[k].term[j];
          packed[i * lined_up + k * RUN + j] =
              load1(weight + i / rows * group + i % rows * row + term / taps * channel + views.place[term % taps]);
        }
  });

  const int64_t pieces = views.down() * views.across(), outputs = views.block[0] * views.block[1];
  const int64_t work = max(1, outputs * rows * channels * taps);
  parallel_for(0, size.batch * groups * pieces, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
    // A block of rows and a register may reach past the last channel; what they find there is not stored.
    const Scratch<A> image(product_of(channels, views.channel) + HIGH * views.width + COLUMNS<A>);
    fill_zeros(image);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t x0 = unit % views.across() * views.block[1], right = min(views.block[1], x.out - x0);
      const int64_t y0 = unit % pieces / views.across() * views.block[0], down = min(views.block[0], y.out - y0);
      const int64_t plane = unit / pieces, g = plane % groups;  // (batch, groups)
      views.copy(in + plane * channels * y.in * x.in, channels, y0, x0, image.data(), pieces > 1 || unit == begin);
      for (int64_t i = 0; i < rows; i++)
        add_runs(views, runs, image.data(), packed.at((g * rows + i) * lined_up, lined_up),
                 bias ? load1(bias + g * rows + i) : A(0), down, right,
                 out.data + (plane * rows + i) * out.plane + y0 * out.down + x0 * out.right, out);
    }
  });
}

// dw[i] += the sum over r < R of dy[r] x[r + i]: R rows of one register, whose lanes from n on count as zero.
template <class A, int N, int R, class T>
SN_INLINE void add_slopes(const A* x, int64_t width, const T* dy, int64_t dy_row, int64_t n, vec<A> (&sum)[RUN]) {
  vec<A> grad[R], lane;
#pragma GCC unroll 16
  for (int i = 0; i < lanes<A>; i++) lane[i] = i;
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) grad[r] = n < lanes<A> ? load_tail(dy + r * dy_row, n) : load(dy + r * dy_row);
#pragma GCC unroll 16
  for (int row = 0; row < R + N - 1; row++) {
    vec<A> numbers = load(x + row * width);
    if (n < lanes<A>) numbers = lane < A(n) ? numbers : vec<A>{};  // 0 times infinity is NaN
#pragma GCC unroll 16
    for (int i = 0; i < N; i++)
      if (0 <= row - i && row - i < R) sum[i] += grad[row - i] * numbers;
  }
}

// One run's sums over a block of outputs, added to `sums`.
template <class A, int N, class T>
SN_INLINE void run_slopes(const A* x, int64_t width, const T* dy, int64_t dy_row, int64_t down, int64_t right, vec<A>* sums) {
  vec<A> sum[RUN];
#pragma GCC unroll 16
  for (int i = 0; i < N; i++) sum[i] = sums[i];
  for (int64_t column = 0; column < right; column += lanes<A>) {
    const int64_t n = min(lanes<A>, right - column);
    int64_t row = 0;
    for (; row + HIGH <= down; row += HIGH)
      add_slopes<A, N, HIGH>(x + row * width + column, width, dy + row * dy_row + column, dy_row, n, sum);
    for (; row + 2 <= down; row += 2)
      add_slopes<A, N, 2>(x + row * width + column, width, dy + row * dy_row + column, dy_row, n, sum);
    if (row < down) add_slopes<A, N, 1>(x + row * width + column, width, dy + row * dy_row + column, dy_row, n, sum);
  }
#pragma GCC unroll 16
  for (int i = 0; i < N; i++) sums[i] = sum[i];
}

// dweight (F, terms) = dy (F, outputs) views(x)^T. Every term has a register of sums, which is added up now and then.
template <class T>
void few_filters_gradient(const Conv2dSizes& size, const T* grad, const T* x, T* dweight) {
  using A = acc_t<T>;
  constexpr int64_t OUTPUTS = 2048, CHAIN = 256;  // of a block; additions to a sum until it goes to the total
  const Views views(forward_axis(size, 0), forward_axis(size, 1), 1, OUTPUTS);
  const Runs runs(views, 1);
  const int64_t taps = views.taps(), filters = size.filters, outputs = size.out[0] * size.out[1];
  const int64_t pixels = size.in[0] * size.in[1], pieces = views.down() * views.across();
  const int64_t work = size.batch * outputs * taps * filters + 1;
  parallel_for(0, size.groups * size.channels, 1 + THREAD_WORK / work, [&](int64_t begin, int64_t end) {
    const Scratch<A> image(views.channel + HIGH * views.width + COLUMNS<A>), totals(filters, taps);
    const Scratch<vec<A>> sums(filters, runs.count, RUN);
    fill_zeros(image);
    for (int64_t unit = begin; unit < end; unit++) {
      const int64_t g = unit / size.channels, c = unit % size.channels;
      int64_t chain = 0;
      fill_zeros(totals), fill_zeros(sums);
      const auto add_up = [&] {
        for (int64_t f = 0; f < filters; f++)
          for (int64_t k = 0; k < runs.count; k++)
            for (int64_t i = 0; i < runs.run[k].count; i++)
              totals[f * taps + runs.run[k].term[i]] += vsum(sums[(f * runs.count + k) * RUN + i]);
        chain = 0;
        fill_zeros(sums);
      };
      for (int64_t n = 0; n < size.batch; n++)
        for (int64_t y0 = 0; y0 < size.out[0]; y0 += views.block[0])
          for (int64_t x0 = 0; x0 < size.out[1]; x0 += views.block[1]) {
            const int64_t down = min(views.block[0], size.out[0] - y0), right = min(views.block[1], size.out[1] - x0);
            views.copy(x + (n * size.groups * size.channels + unit) * pixels, 1, y0, x0, image.data(),
                       pieces > 1 || (unit == begin && n == 0));
            for (int64_t f = 0; f < filters; f++) {
              const T* dy = grad + ((n * size.groups + g) * filters + f) * outputs + y0 * size.out[1] + x0;
              for (int64_t k = 0; k < runs.count; k++)
                with_length(runs.run[k].count, [&](auto length) SN_LAMBDA_INLINE {
                  run_slopes<A, length()>(image.data() + runs.run[k].offset, views.width, dy, size.out[1], down, right,
                                          sums.at((f * runs.count + k) * RUN, RUN));
                });
            }
            chain += down * ceil_div(right, lanes<A>);
            if (chain >= CHAIN) add_up();
          }
      add_up();
      for (int64_t i = 0; i < filters * taps; i++)
        store1(dweight + ((g * filters + i / taps) * size.channels + c) * taps + i % taps, totals[i]);
    }
  });
}

}  // namespace
}  // namespace scratchnet
