// Cross-entropy and softmax, rung 5: softmax and its relatives with 128 bits per load (packs.cuh).
//
//   y = exp(x - max) / sum, the second reading from cache:     8 bytes per element (float32)
//   backward  reads two, writes one:                          12 bytes
//
// A thread takes successive classes of a row that lies in order, or the same class of successive rows of a strip: then it has a
// maximum and a sum for each of them. Sums are of the type that is computed in, not double, which most GPUs are slow at.
// Cross-entropy as in rung 3.
#include "cuda/cross_entropy/packs.cuh"
#include "cuda/ladder.h"
#include "ops/cross_entropy.h"

namespace scratchnet {
namespace {

template <class T, bool LOG, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    softmax_forward_kernel(const T* x, T* y, int64_t classes, int64_t inner, bool wide) {
  const Rows<T, STRIP> rows(classes, inner, wide);
  acc_t<T> max[rows.COUNT], sum[rows.COUNT];
  rows.statistics(x, max, sum);
#pragma unroll
  for (int r = 0; r < rows.COUNT; r++) sum[r] = LOG ? log(sum[r]) : 1 / sum[r];
  rows.map(x, y, [&](acc_t<T> v, int r) { return LOG ? v - max[r] - sum[r] : exp(v - max[r]) * sum[r]; });
}

template <class T, bool LOG>
void normalize(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const auto kernel = inner == 1 ? softmax_forward_kernel<T, LOG, false> : softmax_forward_kernel<T, LOG, true>;
  const Grid grid = rows_grid<LANES<T>>(outer, classes, inner);
  launch(on, LOG ? "log_softmax_forward" : "softmax_forward", kernel, grid, x, y, classes, inner,
         rows_aligned(classes, inner, x, y));
}

// softmax: dx = y (grad - sum(grad y));   log-softmax: dx = grad - exp(y) sum(grad)
template <class T, bool LOG, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    softmax_backward_kernel(const T* grad, const T* y, T* dx, int64_t classes, int64_t inner, bool wide) {
  using A = acc_t<T>;
  const Rows<T, STRIP> rows(classes, inner, wide);
  A total[rows.COUNT];
  rows.sum(total, [&](int64_t c, auto& sum) {
    const Pack<T> g = rows.load(grad, c), v = LOG ? Pack<T>{} : rows.load(y, c);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++)
      if (e < rows.count(c)) sum[rows.of(e)] += LOG ? g.lane[e] : g.lane[e] * v.lane[e];
  });
  rows.for_each([&](int64_t c) {
    Pack<T> g = rows.load(grad, c);
    const Pack<T> v = rows.load(y, c);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++) {
      const A sum = total[rows.of(e)];
      g.lane[e] = LOG ? g.lane[e] - exp(v.lane[e]) * sum : v.lane[e] * (g.lane[e] - sum);
    }
    rows.store(dx, c, g);
  });
}

template <class T, bool LOG>
void normalize_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const auto kernel = inner == 1 ? softmax_backward_kernel<T, LOG, false> : softmax_backward_kernel<T, LOG, true>;
  const Grid grid = rows_grid<LANES<T>>(outer, classes, inner);
  launch(on, LOG ? "log_softmax_backward" : "softmax_backward", kernel, grid, grad, y, dx, classes, inner,
         rows_aligned(classes, inner, grad, y, dx));
}

// y[i] = max + log(sum) of row i, or with dx: dx = grad exp(x - y), which sums again to the digits of x
template <class T, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    logsumexp_kernel(const T* grad, const T* x, T* y, T* dx, int64_t classes, int64_t inner, bool wide) {
  using A = acc_t<T>;
  const Rows<T, STRIP> rows(classes, inner, wide);
  A max[rows.COUNT], log_sum[rows.COUNT], g[rows.COUNT];
  rows.statistics(x, max, log_sum);
#pragma unroll
  for (int r = 0; r < rows.COUNT; r++) {
    log_sum[r] = isinf(max[r]) ? A(0) : log(log_sum[r]);  // an infinite entry is the result
    g[r] = dx && r < rows.left ? load1(grad + rows.row + r) : A(0);
  }
  if (y) rows.once([&](int r) { store1(y + rows.row + r, max[r] + log_sum[r]); });
  if (dx) rows.map(x, dx, [&](A v, int r) { return g[r] * exp(v - max[r] - log_sum[r]); });
}

template <class T>
void logsumexp(const Launch& on, const char* name, const T* grad, const T* x, T* y, T* dx, int64_t outer, int64_t classes,
               int64_t inner) {
  const auto kernel = inner == 1 ? logsumexp_kernel<T, false> : logsumexp_kernel<T, true>;
  launch(on, name, kernel, rows_grid<LANES<T>>(outer, classes, inner), grad, x, y, dx, classes, inner,
         rows_aligned(classes, inner, x, dx));
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

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_5) = {
    SN_FROM(cross_entropy_kernels(4), cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(4), cross_entropy_reduce),
    SN_FROM(cross_entropy_kernels(4), cross_entropy_backward),
    SN_TYPED(softmax_forward),
    SN_TYPED(softmax_backward),
    SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),
    SN_TYPED(logsumexp_forward),
    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
