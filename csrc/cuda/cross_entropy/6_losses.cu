// Cross-entropy and softmax, rung 6: cross-entropy, too, with 128 bits per load, max and sum in one reading.
//
//   forward   reads x once, writes a few numbers per row:    4 bytes per element (float32)
//   backward  dx = g (p sum(a) - a), reads x, writes dx:     8 bytes
//
// Nothing of the size of the logits is saved: p = exp(x - lse) is computed again from them.
#include "cuda/cross_entropy/packs.cuh"
#include "cuda/cross_entropy/totals.cuh"
#include "cuda/ladder.h"

namespace scratchnet {
namespace {

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
  const Rows<T, STRIP> rows(to.classes, to.positions, wide);
  A max[rows.COUNT], log_sum[rows.COUNT], all[rows.COUNT] = {};
  rows.statistics(x, max, log_sum);
#pragma unroll
  for (int r = 0; r < rows.COUNT; r++) log_sum[r] = log(log_sum[r]);
  if (all_share(to))
    rows.sum(all, [&](int64_t c, auto& sum) {
      const Pack<T> logits = rows.load(x, c), share = shares<T>(to, rows, c);
#pragma unroll
      for (int e = 0; e < LANES<T>; e++)
        if (e < rows.count(c)) sum[rows.of(e)] -= share.lane[e] * (logits.lane[e] - max[rows.of(e)] - log_sum[rows.of(e)]);
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
  launch(on, "cross_entropy_forward", kernel, rows_grid<LANES<T>>(to.rows, to.classes, to.positions), to, x, loss, losses, lse,
         wide);
  add_totals<T>(on, to, losses, totals);
}

template <class T, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    cross_entropy_backward_kernel(Targets to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                                  const double* lse, T* dx, bool wide) {
  using A = acc_t<T>;
  const Rows<T, STRIP> rows(to.classes, to.positions, wide);
  A high[rows.COUNT], low[rows.COUNT], g[rows.COUNT], own[rows.COUNT], all[rows.COUNT] = {};
  int64_t target[rows.COUNT];

  // Where lse has not all digits of log(sum), a double to itself never: max and sum are made again.
  bool lost = sizeof(A) == 8;
#pragma unroll
  for (int r = 0; r < rows.COUNT; r++) lost = lost || (r < rows.left && fabs(lse[rows.row + r]) > 1 << 28);
  if (__syncthreads_or(lost)) {
    rows.statistics(x, high, low);
#pragma unroll
    for (int r = 0; r < rows.COUNT; r++) low[r] = log(low[r]);
  } else {
#pragma unroll
    for (int r = 0; r < rows.COUNT; r++) {
      const double l = r < rows.left ? lse[rows.row + r] : 0;
      high[r] = l, low[r] = l - high[r];
    }
  }
  if (all_share(to))
    rows.sum(all, [&](int64_t c, auto& sum) {
      const Pack<T> share = shares<T>(to, rows, c);
#pragma unroll
      for (int e = 0; e < LANES<T>; e++) sum[rows.of(e)] += share.lane[e];
    });
#pragma unroll
  for (int r = 0; r < rows.COUNT; r++) {
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
      const int r = rows.of(e);
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
  const Grid grid = rows_grid<LANES<T>>(to.rows, to.classes, to.positions);
  launch(on, "cross_entropy_backward", kernel, grid, to, grad, single, total_weight, x, lse, dx, wide);
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_6) = {
    SN_TYPED(cross_entropy_forward),
    SN_TYPED(cross_entropy_reduce),
    SN_TYPED(cross_entropy_backward),
    SN_FROM(cross_entropy_kernels(5), softmax_forward),
    SN_FROM(cross_entropy_kernels(5), softmax_backward),
    SN_FROM(cross_entropy_kernels(5), log_softmax_forward),
    SN_FROM(cross_entropy_kernels(5), log_softmax_backward),
    SN_FROM(cross_entropy_kernels(5), logsumexp_forward),
    SN_FROM(cross_entropy_kernels(5), logsumexp_backward),
};

}  // namespace scratchnet
