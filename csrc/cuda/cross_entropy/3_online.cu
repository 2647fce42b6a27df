// Cross-entropy and softmax, rung 3: max and sum of a row in one reading ("online"), two readings in all.
//
// When a larger entry turns up, a thread brings its sum so far to it: sum_k exp(x_k - m') = exp(m - m') sum_k exp(x_k - m).
// Each has a maximum of its own; at the end all sums are brought to the largest of them in the same way, and added up.
// https://arxiv.org/abs/1805.02867
#include "cuda/cross_entropy/totals.cuh"
#include "cuda/ladder.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 64;  // of a block: two warps

Grid block_per_row(int64_t rows) { return {dim3(blocks_along_x(rows)), dim3(THREADS)}; }

template <class A>
struct Statistics {
  A max;
  double log_sum;  // log(sum(exp(x - max)))

  __device__ double logsumexp() const { return isinf(max) ? max : max + log_sum; }  // inf - inf would be NaN
};

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

  // f(class) for the classes of this thread
  template <class F>
  __device__ void for_each(const F& f) const {
    for (int64_t c = threadIdx.x; c < classes; c += THREADS) f(c);
  }
  // Every thread gets the result.
  __device__ Statistics<acc_t<T>> statistics() const {
    using A = acc_t<T>;
    A own = -INFINITY;
    double sum = 0;
    for_each([&](int64_t c) {
      const A v = (*this)[c], next = Max()(own, v);
      if (next != own) sum *= exp(own - next);
      own = next;
      if (v != -INFINITY) sum += exp(v - own);
    });
    const A max = reduce_block(own, Max(), A(-INFINITY));
    sum *= exp(own - max);  // NaN if the largest entry is infinite
    return {max, log(reduce_block(sum, Add(), 0.0))};
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
  const int64_t i = blockIdx.x;
  const Row<T> logits(x, i, to.classes, to.positions);
  const int64_t target = target_of(to, i);
  const auto s = logits.statistics();
  const double m = s.max, log_sum = s.log_sum;
  double sum = 0;
  logits.for_each([&](int64_t c) {
    if (counts(to, target, c)) sum -= share<T>(to, i, target, c) * (logits[c] - m - log_sum);
  });
  sum = reduce_block(sum, Add(), 0.0);
  if (threadIdx.x > 0) return;
  lse[i] = m + log_sum;
  losses[i] = sum;
  if (loss) store1(loss + i, acc_t<T>(sum));
}

template <class T>
void cross_entropy_forward(const Launch& on, const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  const Grid grid = block_per_row(to.rows * to.positions);
  double* const losses = on.allocate<double>(to.rows * to.positions);
  launch(on, "cross_entropy_forward", cross_entropy_forward_kernel<T>, grid, to, x, loss, losses, lse);
  add_totals<T>(on, to, losses, totals);
}

template <class T>
__global__ void cross_entropy_backward_kernel(Targets to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                                              T* dx) {
  const int64_t i = blockIdx.x;
  const Row<T> logits(x, i, to.classes, to.positions), d(dx, i, to.classes, to.positions);
  const int64_t target = target_of(to, i);
  const double g = load1(grad + (single ? 0 : i)) / (total_weight ? double(*total_weight) : 1);
  const auto s = logits.statistics();
  const double m = s.max, log_sum = s.log_sum;
  double sum = 0;  // g sum(a)
  logits.for_each([&](int64_t c) {
    if (counts(to, target, c)) sum += g * share<T>(to, i, target, c);
  });
  sum = reduce_block(sum, Add(), 0.0);
  logits.for_each([&](int64_t c) {
    const double own = counts(to, target, c) ? g * share<T>(to, i, target, c) : 0;
    d.set(c, acc_t<T>(exp(logits[c] - m - log_sum) * sum - own));
  });
}

template <class T>
void cross_entropy_backward(const Launch& on, const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight,
                            const T* x, const double*, T* dx) {
  const Grid grid = block_per_row(to.rows * to.positions);
  launch(on, "cross_entropy_backward", cross_entropy_backward_kernel<T>, grid, to, grad, single, total_weight, x, dx);
}

// ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------

template <class T>
__global__ void softmax_forward_kernel(const T* x, T* y, int64_t classes, int64_t inner) {
  const int64_t i = blockIdx.x;
  const Row<T> from(x, i, classes, inner), to(y, i, classes, inner);
  const auto s = from.statistics();
  to.for_each([&](int64_t c) { to.set(c, acc_t<T>(exp(from[c] - s.max - s.log_sum))); });
}

template <class T>
void softmax_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  launch(on, "softmax_forward", softmax_forward_kernel<T>, block_per_row(outer * inner), x, y, classes, inner);
}

template <class T>
__global__ void log_softmax_forward_kernel(const T* x, T* y, int64_t classes, int64_t inner) {
  const int64_t i = blockIdx.x;
  const Row<T> from(x, i, classes, inner), to(y, i, classes, inner);
  const auto s = from.statistics();
  to.for_each([&](int64_t c) { to.set(c, acc_t<T>(from[c] - s.max - s.log_sum)); });
}

template <class T>
void log_softmax_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = block_per_row(outer * inner);
  launch(on, "log_softmax_forward", log_softmax_forward_kernel<T>, grid, x, y, classes, inner);
}

template <class T>
__global__ void logsumexp_forward_kernel(const T* x, T* y, int64_t classes, int64_t inner) {
  const int64_t i = blockIdx.x;
  const double lse = Row<T>(x, i, classes, inner).statistics().logsumexp();
  if (threadIdx.x == 0) store1(y + i, acc_t<T>(lse));
}

template <class T>
void logsumexp_forward(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = block_per_row(outer * inner);
  launch(on, "logsumexp_forward", logsumexp_forward_kernel<T>, grid, x, y, classes, inner);
}

// dx = grad exp(x - y)
template <class T>
__global__ void logsumexp_backward_kernel(const T* grad, const T* x, T* dx, int64_t classes, int64_t inner) {
  const int64_t i = blockIdx.x;
  const Row<T> from(x, i, classes, inner), d(dx, i, classes, inner);
  const double lse = from.statistics().logsumexp();
  d.for_each([&](int64_t c) { d.set(c, acc_t<T>(load1(grad + i) * exp(from[c] - lse))); });
}

template <class T>
void logsumexp_backward(const Launch& on, const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const Grid grid = block_per_row(outer * inner);
  launch(on, "logsumexp_backward", logsumexp_backward_kernel<T>, grid, grad, x, dx, classes, inner);
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_3) = {
    SN_TYPED(cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(2), cross_entropy_reduce),
    SN_TYPED(cross_entropy_backward),
    SN_TYPED(softmax_forward),
    SN_FROM(cross_entropy_kernels(2), softmax_backward),
    SN_TYPED(log_softmax_forward),
    SN_FROM(cross_entropy_kernels(2), log_softmax_backward),
    SN_TYPED(logsumexp_forward),
    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
