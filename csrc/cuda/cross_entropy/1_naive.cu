// Cross-entropy and softmax, rung 1: the formulas, one thread per row, which it reads three times: for its largest entry, for
// the sum and for the result.
//
//   log-softmax    l_c = (x_c - m) - log(sum_k exp(x_k - m)), m = max(x): no exponential overflows
//   cross-entropy  loss = -sum_c a_c l_c, dx_c = g (p_c sum(a) - a_c)
#include "cuda/cross_entropy/totals.cuh"
#include "cuda/ladder.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

// A row of classes: its entries lie `stride` apart.
template <class T>
struct Row {
  T* p;
  int64_t classes, stride;

  // Row i of (outer, classes, inner).
  __device__ Row(const T* tensor, int64_t i, int64_t classes, int64_t inner)
      : p(const_cast<T*>(tensor) + i / inner * classes * inner + i % inner), classes(classes), stride(inner) {}

  __device__ acc_t<T> operator[](int64_t c) const { return load1(p + c * stride); }
  __device__ void set(int64_t c, acc_t<T> value) const { store1(p + c * stride, value); }

  __device__ acc_t<T> largest() const {
    acc_t<T> m = -INFINITY;
    for (int64_t c = 0; c < classes; c++) m = Max()(m, (*this)[c]);
    return m;
  }
  __device__ double log_sum(acc_t<T> m) const {
    double sum = 0;
    for (int64_t c = 0; c < classes; c++) sum += exp((*this)[c] - m);
    return log(sum);
  }
  __device__ double logsumexp() const {
    const acc_t<T> m = largest();
    return isinf(m) ? m : m + log_sum(m);  // inf - inf would be NaN
  }
};

// ---- cross-entropy ------------------------------------------------------------------------------------------------------

// a_c, the factor of the log-probability of class c in row i whose class is `target`. Entries with no share are left out: a
// log-probability of -inf times 0 would be NaN.
template <class T>
__device__ double share(const Targets& to, int64_t i, int64_t target, int64_t c) {
  double q = c == target;
  if (!to.index) q = Row<T>((const T*)to.probabilities, i, to.classes, to.positions)[c];
  return weight_of<T>(to, c) * (to.rest() * q + to.uniform());
}
__device__ bool counts(const Targets& to, int64_t target, int64_t c) {
  return !to.index || (target >= 0 && (c == target || to.smoothing > 0));
}

template <class T>
__global__ void cross_entropy_forward_kernel(Targets to, const T* x, T* loss, double* losses, double* lse) {
  const int64_t i = thread_index();
  if (i >= to.rows * to.positions) return;
  const Row<T> logits(x, i, to.classes, to.positions);
  const int64_t target = target_of(to, i);
  const double m = logits.largest(), log_sum = logits.log_sum(m);
  double sum = 0;
  for (int64_t c = 0; c < to.classes; c++)
    if (counts(to, target, c)) sum -= share<T>(to, i, target, c) * (logits[c] - m - log_sum);
  lse[i] = m + log_sum;
  losses[i] = sum;
  if (loss) store1(loss + i, acc_t<T>(sum));
}

template <class T>
void cross_entropy_forward(const Launch& on, const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  const Grid grid = elementwise(to.rows * to.positions, THREADS);
  double* const losses = on.allocate<double>(to.rows * to.positions);
  launch(on, "cross_entropy_forward", cross_entropy_forward_kernel<T>, grid, to, x, loss, losses, lse);
  add_totals<T>(on, to, losses, totals);
}

template <class T>
__global__ void cross_entropy_backward_kernel(Targets to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                                              T* dx) {
  const int64_t i = thread_index();
  if (i >= to.rows * to.positions) return;
  const Row<T> logits(x, i, to.classes, to.positions), d(dx, i, to.classes, to.positions);
  const int64_t target = target_of(to, i);
  const double g = load1(grad + (single ? 0 : i)) / (total_weight ? double(*total_weight) : 1);
  const double m = logits.largest(), log_sum = logits.log_sum(m);
  double sum = 0;  // g sum(a)
  for (int64_t c = 0; c < to.classes; c++)
    if (counts(to, target, c)) sum += g * share<T>(to, i, target, c);
  for (int64_t c = 0; c < to.classes; c++) {
    const double own = counts(to, target, c) ? g * share<T>(to, i, target, c) : 0;
    d.set(c, acc_t<T>(exp(logits[c] - m - log_sum) * sum - own));
  }
}

template <class T>
void cross_entropy_backward(const Launch& on, const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight,
                            const T* x, const double*, T* dx) {
  const Grid grid = elementwise(to.rows * to.positions, THREADS);
  launch(on, "cross_entropy_backward", cross_entropy_backward_kernel<T>, grid, to, grad, single, total_weight, x, dx);
}

// ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------

template <class T>
__global__ void softmax_forward_kernel(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const int64_t i = thread_index();
  if (i >= outer * inner) return;
  const Row<T> from(x, i, classes, inner), to(y, i, classes, inner);
  const acc_t<T> m = from.largest();
  const double log_sum = from.log_sum(m);
  for (int64_t c = 0; c < classes; c++) to.set(c, acc_t<T>(exp(from[c] - m - log_sum)));
}

template <class T>
void softmax_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  launch(on, "softmax_forward", softmax_forward_kernel<T>, elementwise(outer * inner, THREADS), x, y, outer, classes, inner);
}

// dx = y (grad - sum(grad y))
template <class T>
__global__ void softmax_backward_kernel(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const int64_t i = thread_index();
  if (i >= outer * inner) return;
  const Row<T> g(grad, i, classes, inner), p(y, i, classes, inner), d(dx, i, classes, inner);
  double sum = 0;
  for (int64_t c = 0; c < classes; c++) sum += double(g[c]) * p[c];
  for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(p[c] * (g[c] - sum)));
}

template <class T>
void softmax_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = elementwise(outer * inner, THREADS);
  launch(on, "softmax_backward", softmax_backward_kernel<T>, grid, grad, y, dx, outer, classes, inner);
}

template <class T>
__global__ void log_softmax_forward_kernel(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const int64_t i = thread_index();
  if (i >= outer * inner) return;
  const Row<T> from(x, i, classes, inner), to(y, i, classes, inner);
  const acc_t<T> m = from.largest();
  const double log_sum = from.log_sum(m);
  for (int64_t c = 0; c < classes; c++) to.set(c, acc_t<T>(from[c] - m - log_sum));
}

template <class T>
void log_softmax_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = elementwise(outer * inner, THREADS);
  launch(on, "log_softmax_forward", log_softmax_forward_kernel<T>, grid, x, y, outer, classes, inner);
}

// dx = grad - exp(y) sum(grad)
template <class T>
__global__ void log_softmax_backward_kernel(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const int64_t i = thread_index();
  if (i >= outer * inner) return;
  const Row<T> g(grad, i, classes, inner), l(y, i, classes, inner), d(dx, i, classes, inner);
  double sum = 0;
  for (int64_t c = 0; c < classes; c++) sum += g[c];
  for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(g[c] - exp(l[c]) * sum));
}

template <class T>
void log_softmax_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = elementwise(outer * inner, THREADS);
  launch(on, "log_softmax_backward", log_softmax_backward_kernel<T>, grid, grad, y, dx, outer, classes, inner);
}

template <class T>
__global__ void logsumexp_forward_kernel(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const int64_t i = thread_index();
  if (i < outer * inner) store1(y + i, acc_t<T>(Row<T>(x, i, classes, inner).logsumexp()));
}

template <class T>
void logsumexp_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = elementwise(outer * inner, THREADS);
  launch(on, "logsumexp_forward", logsumexp_forward_kernel<T>, grid, x, y, outer, classes, inner);
}

// dx = grad exp(x - y)
template <class T>
__global__ void logsumexp_backward_kernel(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const int64_t i = thread_index();
  if (i >= outer * inner) return;
  const Row<T> from(x, i, classes, inner), d(dx, i, classes, inner);
  const double lse = from.logsumexp();
  for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(load1(grad + i) * exp(from[c] - lse)));
}

template <class T>
void logsumexp_backward(const Launch& on, const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = elementwise(outer * inner, THREADS);
  launch(on, "logsumexp_backward", logsumexp_backward_kernel<T>, grid, grad, x, dx, outer, classes, inner);
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_1) = {
    SN_TYPED(cross_entropy_forward), SN_TYPED(cross_entropy_reduce), SN_TYPED(cross_entropy_backward),
    SN_TYPED(softmax_forward),       SN_TYPED(softmax_backward),     SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),  SN_TYPED(logsumexp_forward),    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
