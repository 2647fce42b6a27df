// What every rung that shares rows among threads does with them.
#pragma once
#include "cuda/reduce.cuh"
#include "cuda/tile.cuh"
#include "ops/layer_norm.h"

namespace scratchnet {
namespace {

// The pack at x[at]; with a residual their sum, as rounded, which is also written.
template <class T, int N>
__device__ __forceinline__ Bits<T, N> summed(const NormForward& p, int64_t at) {
  const Bits<T, N> bits = *(const Bits<T, N>*)((const T*)p.x + at);
  if (!p.residual) return bits;
  Pack<T, N> total = unpack(bits);
  const Pack<T, N> more = unpack(*(const Bits<T, N>*)((const T*)p.residual + at));
#pragma unroll
  for (int i = 0; i < N; i++) total.lane[i] += more.lane[i];
  return *(Bits<T, N>*)((T*)p.total + at) = rounded(total);
}

template <class A>
__device__ __forceinline__ A mean_of_block(A sum, int64_t columns) {
  return reduce_block(sum, Add{}, A(0)) / columns;
}

// NaN where LayerNorm's squares pass the type's range: 1 / inf would make zeros of the row.
template <class A>
__device__ __forceinline__ A rstd_of(A variance, const NormForward& p) {
  return p.mean && isinf(variance) ? A(NAN) : 1 / sqrt((variance < 0 ? 0 : variance) + A(p.eps));
}

}  // namespace
}  // namespace scratchnet
