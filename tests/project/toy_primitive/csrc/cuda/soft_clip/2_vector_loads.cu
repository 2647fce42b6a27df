// Soft clipping, rung 2: 128 bits per load and store.
//
//   forward   y  = x / (1 + |x| / limit)                          reads 1, writes 1 tensor
//   backward  dx = grad / (1 + |x| / limit)^2                     reads 2, writes 1
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/tile.cuh"
#include "ops/soft_clip.h"

namespace scratchnet {
namespace {

template <class A>
__device__ A divisor(A x, A limit) {
  return 1 + (x > 0 ? x : -x) / limit;
}

template <class T>
__global__ void soft_clip_forward_kernel(const T* x, T* y, int64_t n, acc_t<T> limit, bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  Pack<T> v = load(x + i, n - i, aligned);
  for (auto& e : v.lane) e /= divisor(e, limit);
  store(y + i, v, n - i, aligned);
}

template <class T>
void forward(const Launch& on, const T* x, T* y, int64_t n, double limit) {
  const Grid grid = elementwise(ceil_div(n, LANES<T>), TILE_THREADS);
  launch(on, "soft_clip_forward", soft_clip_forward_kernel<T>, grid, x, y, n, limit, aligned(0, x, y));
}

template <class T>
__global__ void soft_clip_backward_kernel(const T* grad, const T* x, T* dx, int64_t n, acc_t<T> limit, bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  const Pack<T> v = load(x + i, n - i, aligned);
  Pack<T> d = load(grad + i, n - i, aligned);
#pragma unroll
  for (int k = 0; k < LANES<T>; k++) {
    const acc_t<T> by = divisor(v.lane[k], limit);
    d.lane[k] /= by * by;
  }
  store(dx + i, d, n - i, aligned);
}

template <class T>
void backward(const Launch& on, const T* grad, const T* x, T* dx, int64_t n, double limit) {
  const Grid grid = elementwise(ceil_div(n, LANES<T>), TILE_THREADS);
  launch(on, "soft_clip_backward", soft_clip_backward_kernel<T>, grid, grad, x, dx, n, limit, aligned(0, grad, x, dx));
}

}  // namespace

SN_DEFINE_RUNG(SoftClipKernels, soft_clip_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
