// gather, rung 2: copies of 128 bits.
//
//   forward   a thread takes as many neighbours in the index as fit 128 bits, and writes what they pick at once; an embedding
//             copies its rows whole, neighbours by neighbouring threads
//   backward  as in rung 1
#include "cuda/gather/picks.cuh"

namespace scratchnet {
namespace {

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    gather_forward_kernel(const __grid_constant__ GatherShape s, const T* x, const int64_t* index, T* y, bool aligned) {
  const Picks<T> picks(s, index, aligned);
  __align__(16) T picked[LANES<T>];
#pragma unroll
  for (int k = 0; k < LANES<T>; k++)
    if (k < picks.count) picked[k] = x[picks.place[k]];
  if (picks.count) copy(y + picks.at, picked, picks.count, aligned);
}

template <class T>
bool gather_forward(const Launch& on, const GatherShape& s, const T* x, const int64_t* index, T* y) {
  launch(on, "gather_forward", gather_forward_kernel<T>, picks<T>(s), s, x, index, y, aligned(length_of(s), y, index));
  return true;
}

// ---- embedding ----------------------------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_forward_kernel(const T* weight, int64_t stride, const int64_t* index, T* y, int64_t rows, int64_t columns,
                             int64_t n, bool aligned) {
  const Place<T> at;
  for (int64_t i = at.row; i < n; i += at.step) {
    const int64_t k = index[i];
    SN_ASSERT(0 <= k && k < rows);
    copy(y + i * columns + at.column, weight + k * stride + at.column, columns - at.column, aligned);
  }
}

template <class T>
bool embedding_forward(const Launch& on, const T* weight, int64_t stride, const int64_t* index, T* y, int64_t rows,
                       int64_t columns, int64_t n) {
  const bool wide = aligned(columns, weight, y) && stride % LANES<T> == 0;
  const Grid grid = tiles<T>(n, columns);
  launch(on, "embedding_forward", embedding_forward_kernel<T>, grid, weight, stride, index, y, rows, columns, n, wide);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_2) = {
    SN_TYPED(gather_forward),
    SN_FROM(gather_kernels(1), gather_backward),
    SN_TYPED(embedding_forward),
    SN_FROM(gather_kernels(1), embedding_backward),
};

}  // namespace scratchnet
