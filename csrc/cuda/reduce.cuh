// Sums and maxima over a warp and a block: a tree of shuffles, the same one every run.
#pragma once
#include <cuda_runtime.h>

namespace scratchnet {
namespace {

constexpr unsigned ALL_LANES = 0xffffffff;

struct Add {
  template <class A>
  __device__ __forceinline__ A operator()(A a, A b) const {
    return a + b;
  }
};
struct Max {  // NaN wins
  template <class A>
  __device__ __forceinline__ A operator()(A a, A b) const {
    return a > b || a != a ? a : b;
  }
};

// Every lane gets the result over its group of `width` neighbours, a power of 2.
template <class A, class Op>
__device__ __forceinline__ A reduce_warp(A value, Op op, int width = 32) {
  for (int step = width / 2; step; step /= 2) value = op(value, __shfl_xor_sync(ALL_LANES, value, step));
  return value;
}

// Every thread of a block of up to 1024 threads, a multiple of 32 along x, gets the result. May be called again at once.
template <class A, class Op>
__device__ __forceinline__ A reduce_block(A value, Op op, A neutral) {
  __shared__ A of_warp[32];
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32;
  value = reduce_warp(value, op);
  if (lane == 0) of_warp[warp] = value;
  __syncthreads();
  value = reduce_warp(lane < warps ? of_warp[lane] : neutral, op);
  __syncthreads();  // all have read before a next call writes
  return value;
}

}  // namespace
}  // namespace scratchnet
