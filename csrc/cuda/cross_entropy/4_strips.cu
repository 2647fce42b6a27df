// Cross-entropy and softmax, rung 4: where neighbours in memory belong to different rows (inner > 1), a block has a strip of
// rows.
//
// In rung 3 the threads of a block read classes of one row, which lie `inner` numbers apart: a warp fetches 32 lines of memory
// for 32 numbers. Here it reads 32 neighbours, each thread for a row of its own, and the eight warps of a block take every
// eighth class. What they have found of a row meets in shared memory. In the same kernels a whole block walks a row that lies
// in order. softmax and log_softmax differ in one line. Cross-entropy as in rung 3.
#include "cuda/cross_entropy/rows.cuh"
#include "cuda/ladder.h"
#include "cuda/reduce.cuh"
#include "cuda/scalar.cuh"
#include "ops/cross_entropy.h"

namespace scratchnet {
namespace {

template <class A>
struct Statistics {
  A max;
  double log_sum;  // log(sum(exp(x - max)))

  __device__ double logsumexp() const { return isinf(max) ? max : max + log_sum; }  // inf - inf would be NaN
};

template <class T, bool STRIP>
struct Rows : Place<STRIP> {
  using Place<STRIP>::Place;
  using Place<STRIP>::at, Place<STRIP>::for_each;

  // y = f(x)
  template <class F>
  __device__ void map(const T* x, T* y, const F& f) const {
    for_each([&](int64_t c) { store1(y + at(c), acc_t<T>(f(load1(x + at(c))))); });
  }
  // From the partial results of each thread to that of all that share its row.
  template <class A, class Op>
  __device__ A reduce(A value, Op op, A neutral) const {
    if constexpr (STRIP) {
      __shared__ A of_thread[STRIP_HEIGHT][STRIP_WIDTH];
      of_thread[threadIdx.y][threadIdx.x] = value;
      __syncthreads();
      value = neutral;
      for (int i = 0; i < STRIP_HEIGHT; i++) value = op(value, of_thread[i][threadIdx.x]);
      __syncthreads();  // all have read before a next call writes
      return value;
    } else {
      return reduce_block(value, op, neutral);
    }
  }
  __device__ Statistics<acc_t<T>> statistics(const T* x) const {
    using A = acc_t<T>;
    A own = -INFINITY;
    double sum = 0;
    for_each([&](int64_t c) {
      const A v = load1(x + at(c)), next = Max()(own, v);
      if (next != own) sum *= exp(own - next);
      own = next;
      if (v != -INFINITY) sum += exp(v - own);
    });
    const A max = reduce(own, Max(), A(-INFINITY));
    sum *= exp(own - max);  // NaN if the largest entry is infinite
    return {max, log(reduce(sum, Add(), 0.0))};
  }
};

template <class T, bool LOG, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    softmax_forward_kernel(const T* x, T* y, int64_t classes, int64_t inner) {
  const Rows<T, STRIP> rows(classes, inner);
  const auto s = rows.statistics(x);
  rows.map(x, y, [&](acc_t<T> v) { return LOG ? v - s.max - s.log_sum : exp(v - s.max - s.log_sum); });
}

template <class T, bool LOG>
void normalize(const Launch& on, const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  const auto kernel = inner == 1 ? softmax_forward_kernel<T, LOG, false> : softmax_forward_kernel<T, LOG, true>;
  const Grid grid = rows_grid(outer, classes, inner);
  launch(on, LOG ? "log_softmax_forward" : "softmax_forward", kernel, grid, x, y, classes, inner);
}

// softmax: dx = y (grad - sum(grad y));   log-softmax: dx = grad - exp(y) sum(grad)
template <class T, bool LOG, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    softmax_backward_kernel(const T* grad, const T* y, T* dx, int64_t classes, int64_t inner) {
  const Rows<T, STRIP> rows(classes, inner);
  double sum = 0;
  rows.for_each([&](int64_t c) {
    const double g = load1(grad + rows.at(c));
    sum += LOG ? g : g * load1(y + rows.at(c));
  });
  sum = rows.reduce(sum, Add(), 0.0);
  rows.for_each([&](int64_t c) {
    const acc_t<T> g = load1(grad + rows.at(c)), v = load1(y + rows.at(c));
    store1(dx + rows.at(c), acc_t<T>(LOG ? g - exp(v) * sum : v * (g - sum)));
  });
}

template <class T, bool LOG>
void normalize_backward(const Launch& on, const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  const auto kernel = inner == 1 ? softmax_backward_kernel<T, LOG, false> : softmax_backward_kernel<T, LOG, true>;
  const Grid grid = rows_grid(outer, classes, inner);
  launch(on, LOG ? "log_softmax_backward" : "softmax_backward", kernel, grid, grad, y, dx, classes, inner);
}

// y[i] = max + log(sum) of row i, or with dx: dx = grad exp(x - y), which sums again to the digits of x
template <class T, bool STRIP>
__global__ void __launch_bounds__(ROW_THREADS, ROW_RESIDENT)
    logsumexp_kernel(const T* grad, const T* x, T* y, T* dx, int64_t classes, int64_t inner) {
  const Rows<T, STRIP> rows(classes, inner);
  const double lse = rows.statistics(x).logsumexp();
  if (y) rows.once([&](int r) { store1(y + rows.row + r, acc_t<T>(lse)); });
  if (dx) rows.map(x, dx, [&](acc_t<T> v) { return load1(grad + rows.row) * exp(v - lse); });
}

template <class T>
void logsumexp(const Launch& on, const char* name, const T* grad, const T* x, T* y, T* dx, int64_t outer, int64_t classes,
               int64_t inner) {
  const auto kernel = inner == 1 ? logsumexp_kernel<T, false> : logsumexp_kernel<T, true>;
  launch(on, name, kernel, rows_grid(outer, classes, inner), grad, x, y, dx, classes, inner);
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

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_4) = {
    SN_FROM(cross_entropy_kernels(3), cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(3), cross_entropy_reduce),
    SN_FROM(cross_entropy_kernels(3), cross_entropy_backward),
    SN_TYPED(softmax_forward),
    SN_TYPED(softmax_backward),
    SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),
    SN_TYPED(logsumexp_forward),
    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
