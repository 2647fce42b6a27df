// Convolution, rung 7: the gradients of few filters and of the bias, a register of sums for each of their numbers.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "products.h"
#include "runs.h"

namespace scratchnet {
namespace {

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
void weight_gradient(const Conv2dSizes& size, const T* grad, const T* x, T* dweight) {
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

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_7) = {
    SN_FROM(conv2d_kernels(6), forward),
    [](const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
       void* dbias) {
      if (dweight && size.filters && size.channels && (!size.batch || size.filters <= FEW_FILTERS) &&
          !dweight_is_product(on, size))
        SN_TYPED(weight_gradient)(on, size, grad, x, dweight), dweight = nullptr;
      if (dbias) SN_TYPED(bias_gradient)(on, size, grad, dbias), dbias = nullptr;
      conv2d_kernels(6).backward(on, size, grad, x, weight, dx, dweight, dbias);
    },
};

}  // namespace scratchnet
