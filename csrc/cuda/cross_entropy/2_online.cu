// Cross-entropy and softmax, rung 2: one block per row, 128 bits per load, max and sum in one reading, shuffles between the
// threads.
//
//   cross-entropy   forward   reads x once, writes a few numbers per row:            4 bytes per element (float32)
//                   backward  dx = g (p sum(a) - a), reads x, writes dx:           8 bytes
//   softmax         y = exp(x - max) / sum, the second reading from cache:         8 bytes
//                   backward  reads two, writes one:                              12 bytes
//
// Nothing of the size of the logits is saved: p = exp(x - lse) is computed again from them.
#include "cuda/cross_entropy/rows.cuh"
#include "cuda/cross_entropy/totals.cuh"
#include "cuda/ladder.h"

namespace scratchnet {
namespace {

// ---- cross-entropy ------------------------------------------------------------------------------------------------------

// The factors a_c = w_c (rest q_c + uniform) of a pack; with class indices without the `rest` of the class that is the target.
template <class T, class R>
__device__ Pack<T> shares(const Targets& to, const R& rows, int64_t c) {
  using A = acc_t<T>;
  const A rest = to.rest(), uniform = to.uniform();
  Pack<T> share = to.index ? Pack<T>{} : rows.load((const T*)to.probabilities, c);
#pragma unroll
  for (int e = 0; e < LANES<T>; e++)
    share.lane[e] = e < rows.count(c) ? weight_of<T>(to, rows.class_of(c, e)) * (rest * share.lane[e] + uniform) : A(0);
  return share;
}
// Whether every class has one, not the target alone.
__device__ bool all_share(const Targets& to) { return !to.index || to.smoothing > 0; }

template <class T, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    cross_entropy_forward_kernel(Targets to, const T* x, T* loss, double* losses, double* lse, bool wide) {
  using A = acc_t<T>;
  using R = Rows<T, STRIP>;
  const R rows(to.classes, to.positions, wide);
  A max[R::COUNT], log_sum[R::COUNT], all[R::COUNT] = {};
  rows.statistics(x, max, log_sum);
#pragma unroll
  for (int r = 0; r < R::COUNT; r++) log_sum[r] = log(log_sum[r]);
  if (all_share(to))
    rows.sum(all, [&](int64_t c, A(&sum)[R::COUNT]) {
      const Pack<T> logits = rows.load(x, c), share = shares<T>(to, rows, c);
#pragma unroll
      for (int e = 0; e < LANES<T>; e++)
        if (e < rows.count(c)) sum[R::of(e)] -= share.lane[e] * (logits.lane[e] - max[R::of(e)] - log_sum[R::of(e)]);
    });
  rows.once([&](int r) {
    const int64_t i = rows.row + r, target = target_of(to, i);
    double value = to.index && target < 0 ? 0 : all[r];
    if (target >= 0) {
      const A logit = load1(x + rows.at(target) + r);
      value -= to.rest() * weight_of<T>(to, target) * (logit - max[r] - log_sum[r]);
    }
    lse[i] = double(max[r]) + log_sum[r];
    losses[i] = value;
    if (loss) store1(loss + i, A(value));
  });
}

template <class T>
void cross_entropy_forward(const Launch& on, const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  const auto kernel = to.positions == 1 ? cross_entropy_forward_kernel<T, false> : cross_entropy_forward_kernel<T, true>;
  const bool wide = rows_aligned(to.classes, to.positions, x, (const T*)to.probabilities);
  double* const losses = on.allocate<double>(to.rows * to.positions);
  launch(on, "cross_entropy_forward", kernel, rows_grid<T>(to.rows, to.classes, to.positions), to, x, loss, losses, lse, wide);
  add_totals<T>(on, to, losses, totals);
}

template <class T, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    cross_entropy_backward_kernel(Targets to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                                  const double* lse, T* dx, bool wide) {
  using A = acc_t<T>;
  using R = Rows<T, STRIP>;
  const R rows(to.classes, to.positions, wide);
  A high[R::COUNT], low[R::COUNT], g[R::COUNT], own[R::COUNT], all[R::COUNT] = {};
  int64_t target[R::COUNT];

  // Where lse has not all digits of log(sum), a double to itself never: max and sum are made again.
  bool lost = sizeof(A) == 8;
#pragma unroll
  for (int r = 0; r < R::COUNT; r++) lost = lost || (r < rows.left && fabs(lse[rows.row + r]) > 1 << 28);
  if (__syncthreads_or(lost)) {
    rows.statistics(x, high, low);
#pragma unroll
    for (int r = 0; r < R::COUNT; r++) low[r] = log(low[r]);
  } else {
#pragma unroll
    for (int r = 0; r < R::COUNT; r++) {
      const double l = r < rows.left ? lse[rows.row + r] : 0;
      high[r] = l, low[r] = l - high[r];
    }
  }
  if (all_share(to))
    rows.sum(all, [&](int64_t c, A(&sum)[R::COUNT]) {
      const Pack<T> share = shares<T>(to, rows, c);
#pragma unroll
      for (int e = 0; e < LANES<T>; e++) sum[R::of(e)] += share.lane[e];
    });
#pragma unroll
  for (int r = 0; r < R::COUNT; r++) {
    const int64_t i = rows.row + r;
    target[r] = r < rows.left ? target_of(to, i) : -1;
    g[r] = 0;
    if (target[r] >= 0 || (r < rows.left && !to.index))
      g[r] = load1(grad + (single ? 0 : i)) / (total_weight ? *total_weight : A(1));
    own[r] = target[r] >= 0 ? g[r] * A(to.rest()) * weight_of<T>(to, target[r]) : A(0);
    all[r] = own[r] + g[r] * all[r];
  }
  rows.for_each([&](int64_t c) {
    Pack<T> d = rows.load(x, c);
    const Pack<T> share = all_share(to) ? shares<T>(to, rows, c) : Pack<T>{};
#pragma unroll
    for (int e = 0; e < LANES<T>; e++) {
      const int r = R::of(e);
      const A p = exp(d.lane[e] - high[r] - low[r]);
      d.lane[e] =
          all[r] * p - (all_share(to) ? g[r] * share.lane[e] : A(0)) - (rows.class_of(c, e) == target[r] ? own[r] : A(0));
    }
    rows.store(dx, c, d);
  });
}

template <class T>
void cross_entropy_backward(const Launch& on, const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight,
                            const T* x, const double* lse, T* dx) {
  const auto kernel = to.positions == 1 ? cross_entropy_backward_kernel<T, false> : cross_entropy_backward_kernel<T, true>;
  const bool wide = rows_aligned(to.classes, to.positions, x, (const T*)to.probabilities, dx);
  const Grid grid = rows_grid<T>(to.rows, to.classes, to.positions);
  launch(on, "cross_entropy_backward", kernel, grid, to, grad, single, total_weight, x, lse, dx, wide);
}

// ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------

template <class T, bool LOG, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    softmax_forward_kernel(const T* x, T* y, int64_t classes, int64_t inner, bool wide) {
  using R = Rows<T, STRIP>;
  const R rows(classes, inner, wide);
  acc_t<T> max[R::COUNT], sum[R::COUNT];
  rows.statistics(x, max, sum);
#pragma unroll
  for (int r = 0; r < R::COUNT; r++) sum[r] = LOG ? log(sum[r]) : 1 / sum[r];
  rows.for_each([&](int64_t c) {
    Pack<T> v = rows.load(x, c);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++) {
      const int r = R::of(e);
      v.lane[e] = LOG ? v.lane[e] - max[r] - sum[r] : exp(v.lane[e] - max[r]) * sum[r];
    }
    rows.store(y, c, v);
  });
}

template <class T, bool LOG>
void normalize(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const auto kernel = inner == 1 ? softmax_forward_kernel<T, LOG, false> : softmax_forward_kernel<T, LOG, true>;
  const Grid grid = rows_grid<T>(outer, classes, inner);
  const bool wide = rows_aligned(classes, inner, x, y);
  launch(on, LOG ? "log_softmax_forward" : "softmax_forward", kernel, grid, x, y, classes, inner, wide);
}

// softmax: dx = y (grad - sum(grad y));   log-softmax: dx = grad - exp(y) sum(grad)
template <class T, bool LOG, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    softmax_backward_kernel(const T* grad, const T* y, T* dx, int64_t classes, int64_t inner, bool wide) {
  using A = acc_t<T>;
  using R = Rows<T, STRIP>;
  const R rows(classes, inner, wide);
  A total[R::COUNT];
  rows.sum(total, [&](int64_t c, A(&sum)[R::COUNT]) {
    const Pack<T> g = rows.load(grad, c), v = LOG ? Pack<T>{} : rows.load(y, c);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++)
      if (e < rows.count(c)) sum[R::of(e)] += LOG ? g.lane[e] : g.lane[e] * v.lane[e];
  });
  rows.for_each([&](int64_t c) {
    Pack<T> g = rows.load(grad, c);
    const Pack<T> v = rows.load(y, c);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++) {
      const A sum = total[R::of(e)];
      g.lane[e] = LOG ? g.lane[e] - exp(v.lane[e]) * sum : v.lane[e] * (g.lane[e] - sum);
    }
    rows.store(dx, c, g);
  });
}

template <class T, bool LOG>
void normalize_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const auto kernel = inner == 1 ? softmax_backward_kernel<T, LOG, false> : softmax_backward_kernel<T, LOG, true>;
  const Grid grid = rows_grid<T>(outer, classes, inner);
  const bool wide = rows_aligned(classes, inner, grad, y, dx);
  launch(on, LOG ? "log_softmax_backward" : "softmax_backward", kernel, grid, grad, y, dx, classes, inner, wide);
}

// y[i] = max + log(sum) of row i, or with dx: dx = grad exp(x - y), which sums again to the digits of x
template <class T, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    logsumexp_kernel(const T* grad, const T* x, T* y, T* dx, int64_t classes, int64_t inner, bool wide) {
  using A = acc_t<T>;
  using R = Rows<T, STRIP>;
  const R rows(classes, inner, wide);
  A max[R::COUNT], log_sum[R::COUNT];
  rows.statistics(x, max, log_sum);
#pragma unroll
  for (int r = 0; r < R::COUNT; r++) log_sum[r] = isinf(max[r]) ? A(0) : log(log_sum[r]);  // an infinite entry is the result
  if (y) rows.once([&](int r) { store1(y + rows.row + r, max[r] + log_sum[r]); });
  if (!dx) return;
  rows.for_each([&](int64_t c) {
    Pack<T> v = rows.load(x, c);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++)
      if (e < rows.count(c)) {
        const int r = R::of(e);
        v.lane[e] = load1(grad + rows.row + r) * exp(v.lane[e] - max[r] - log_sum[r]);
      }
    rows.store(dx, c, v);
  });
}

template <class T>
void logsumexp(const Launch& on, const char* name, const T* grad, const T* x, T* y, T* dx, int64_t outer, int64_t classes,
               int64_t inner) {
  const auto kernel = inner == 1 ? logsumexp_kernel<T, false> : logsumexp_kernel<T, true>;
  const bool wide = rows_aligned(classes, inner, x, dx);
  launch(on, name, kernel, rows_grid<T>(outer, classes, inner), grad, x, y, dx, classes, inner, wide);
}

template <class T>
void logsumexp_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  logsumexp<T>(on, "logsumexp_forward", nullptr, x, y, nullptr, outer, classes, inner);
}

template <class T>
void logsumexp_backward(const Launch& on, const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  logsumexp<T>(on, "logsumexp_backward", grad, x, nullptr, dx, outer, classes, inner);
}

template <class T>
void softmax_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  normalize<T, false>(on, x, y, outer, classes, inner);
}
template <class T>
void log_softmax_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  normalize<T, true>(on, x, y, outer, classes, inner);
}
template <class T>
void softmax_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  normalize_backward<T, false>(on, grad, y, dx, outer, classes, inner);
}
template <class T>
void log_softmax_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  normalize_backward<T, true>(on, grad, y, dx, outer, classes, inner);
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_2) = {
    SN_TYPED(cross_entropy_forward), SN_TYPED(cross_entropy_reduce), SN_TYPED(cross_entropy_backward),
    SN_TYPED(softmax_forward),       SN_TYPED(softmax_backward),     SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),  SN_TYPED(logsumexp_forward),    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
