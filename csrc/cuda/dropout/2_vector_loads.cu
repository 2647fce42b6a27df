// Dropout, rung 2: 128 bits per load and store, one key for all elements of a thread; threshold and scale come from the host.
//
//   forward   y = z x + residual      reads 1 or 2, writes 1 tensor
//   backward  dx = z grad             reads 1, writes 1: the mask is drawn again
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/tile.cuh"
#include "ops/dropout.h"

namespace scratchnet {
namespace {

template <class T, bool RESIDUAL>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    dropout_kernel(const T* x, const T* residual, T* y, int64_t n, uint32_t threshold, acc_t<T> scale, const int64_t* seed,
                   bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  const uint64_t key = dropout_key(*seed, i >> DROPOUT_ROW_BITS);  // a pack lies within one row
  Pack<T> v = load(x + i, n - i, aligned);
#pragma unroll
  for (int k = 0; k < LANES<T>; k++) v.lane[k] *= dropout_bits(key, (uint32_t)(i + k)) >= threshold ? scale : 0;
  if constexpr (RESIDUAL) {
    const Pack<T> r = load(residual + i, n - i, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) v.lane[k] += r.lane[k];
  }
  store(y + i, v, n - i, aligned);
}

template <class T>
void apply(const Launch& on, const T* x, const T* residual, T* y, int64_t n, double p, const int64_t* seed) {
  const Dropout dropout(p);
  const Grid grid = elementwise(ceil_div(n, LANES<T>), TILE_THREADS);
  const auto kernel = residual ? dropout_kernel<T, true> : dropout_kernel<T, false>;
  const bool packs = residual ? aligned(0, x, residual, y) : aligned(0, x, y);
  launch(on, "dropout", kernel, grid, x, residual, y, n, dropout.threshold, acc_t<T>(dropout.scale), seed, packs);
}

}  // namespace

SN_DEFINE_RUNG(DropoutKernels, dropout_2) = {SN_TYPED(apply)};

}  // namespace scratchnet
