// gather, rung 4: sums over a sorted index, where results must be reproducible.
//
// The places in dx are sorted, each with the position of its gradient: those of one place then lie together, in the order of
// the index, and one thread adds them up. The same happens where an embedding divides by how often a row occurs.
#include "cuda/gather/picks.cuh"
#include "cuda/gather/sorted_sums.cuh"

namespace scratchnet {
namespace {

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    gather_list_kernel(const __grid_constant__ GatherShape s, const int64_t* index, int64_t* place, int64_t* position,
                       bool aligned) {
  const Picks<T> picks(s, index, aligned);
#pragma unroll
  for (int k = 0; k < LANES<T>; k += LANES<int64_t>) {
    if (k >= picks.count) return;
    __align__(16) const int64_t here[] = {picks.at + k, picks.at + k + 1};
    copy(place + picks.at + k, picks.place + k, picks.count - k, aligned);
    copy(position + picks.at + k, here, picks.count - k, aligned);
  }
}

template <class T>
bool gather_backward(const Launch& on, const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx,
                     int64_t numel) {
  if (!on.deterministic()) return gather_kernels(3).gather_backward(on, s, grad, index, base, dx, numel);
  const char* name = "gather_backward";
  const int64_t n = s.elements();
  int64_t *place = on.allocate<int64_t>(n), *position = on.allocate<int64_t>(n);
  const bool wide = aligned(length_of(s), (const T*)nullptr, index);
  launch(on, name, gather_list_kernel<T>, picks<T>(s), s, index, place, position, wide);
  sum_sorted(on, name, place, position, RowsOf<T>{grad}, base, dx, n, numel, 1, -1, false);
  return true;
}

__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_list_kernel(const int64_t* index, int64_t* position, int64_t rows, int64_t n) {
  const int64_t i = thread_index();
  if (i >= n) return;
  SN_ASSERT(0 <= index[i] && index[i] < rows);
  position[i] = i;
}

template <class T>
bool embedding_backward(const Launch& on, const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows,
                        int64_t columns, int64_t n, int64_t padding, bool by_count) {
  if (!by_count && !on.deterministic())
    return gather_kernels(3).embedding_backward(on, grad, index, base, dweight, rows, columns, n, padding, by_count);
  const char* name = "embedding_backward";
  int64_t* position = on.allocate<int64_t>(n);
  launch(on, name, embedding_list_kernel, elementwise(n, TILE_THREADS), index, position, rows, n);
  sum_sorted(on, name, index, position, RowsOf<T>{grad}, base, dweight, n, rows, columns, padding, by_count);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_4) = {
    SN_FROM(gather_kernels(2), gather_forward),
    SN_TYPED(gather_backward),
    SN_FROM(gather_kernels(2), embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
