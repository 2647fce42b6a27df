// Soft clipping, rung 1: the formula, one thread per element.
//
//   forward   y  = x / (1 + |x| / limit)                          reads 1, writes 1 tensor
//   backward  dx = grad / (1 + |x| / limit)^2                     reads 2, writes 1
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/soft_clip.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class A>
__device__ A divisor(A x, A limit) {
  return 1 + (x > 0 ? x : -x) / limit;
}

template <class T>
__global__ void soft_clip_forward_kernel(const T* x, T* y, int64_t n, acc_t<T> limit) {
  const int64_t i = thread_index();
  if (i < n) store1(y + i, load1(x + i) / divisor(load1(x + i), limit));
}

template <class T>
void forward(const Launch& on, const T* x, T* y, int64_t n, double limit) {
  launch(on, "soft_clip_forward", soft_clip_forward_kernel<T>, elementwise(n, THREADS), x, y, n, limit);
}

template <class T>
__global__ void soft_clip_backward_kernel(const T* grad, const T* x, T* dx, int64_t n, acc_t<T> limit) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const acc_t<T> d = divisor(load1(x + i), limit);
  store1(dx + i, load1(grad + i) / (d * d));
}

template <class T>
void backward(const Launch& on, const T* grad, const T* x, T* dx, int64_t n, double limit) {
  launch(on, "soft_clip_backward", soft_clip_backward_kernel<T>, elementwise(n, THREADS), grad, x, dx, n, limit);
}

}  // namespace

SN_DEFINE_RUNG(SoftClipKernels, soft_clip_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
