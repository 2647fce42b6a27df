// gather, rung 3: sums by atomics.
//
//   backward  dx[index[i][j]][j] += grad[i][j]: reads the index and grad once, adds to dx (of 16-bit types in float32, rounded
//             once)
//
// Two threads may come to one place, in either order. Under torch.use_deterministic_algorithms, and where an embedding divides
// by how often a row occurs, rung 1 searches.
#include "cuda/gather/picks.cuh"

namespace scratchnet {
namespace {

// dx, which begins with `base`, or for 16-bit types zeros in float32 in its place: to be added to.
template <class T>
acc_t<T>* first_sums(const Launch& on, const char* name, const T* base, T* dx, int64_t count) {
  using A = acc_t<T>;
  A* sums = std::is_same_v<T, A> ? (A*)dx : on.allocate<A>(count);
  if (std::is_same_v<T, A>) begin_with(on, name, (const A*)base, sums, count);
  else zero(on, name, sums, count);
  return sums;
}

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    round_kernel(const float* sums, const T* base, T* dx, int64_t count, bool aligned) {
  const int64_t first = thread_index() * LANES<T>;
  Pack<T> pack = {};
  if (base) pack = load(base + first, count - first, aligned);
#pragma unroll
  for (int i = 0; i < LANES<T>; i += LANES<float>) {
    const Pack<float> part = load(sums + first + i, count - first - i, true);
#pragma unroll
    for (int k = 0; k < LANES<float>; k++) pack.lane[i + k] += part.lane[k];
  }
  store(dx + first, pack, count - first, aligned);
}

template <class T>
void round_sums(const Launch& on, const char* name, const acc_t<T>* sums, const T* base, T* dx, int64_t count) {
  if constexpr (!std::is_same_v<T, acc_t<T>>)
    launch(on, name, round_kernel<T>, elementwise(ceil_div(count, LANES<T>), TILE_THREADS), sums, base, dx, count,
           aligned(0, base, dx));
}

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    gather_add_kernel(const __grid_constant__ GatherShape s, const T* grad, const int64_t* index, acc_t<T>* sums,
                      bool aligned) {
  const Picks<T> picks(s, index, aligned);
  if (!picks.count) return;
  const Pack<T> g = load(grad + picks.at, picks.count, aligned);
#pragma unroll
  for (int k = 0; k < LANES<T>; k++)
    if (k < picks.count) atomicAdd(sums + picks.place[k], g.lane[k]);
}

template <class T>
bool gather_backward(const Launch& on, const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx,
                     int64_t numel) {
  if (on.deterministic()) return gather_kernels(1).gather_backward(on, s, grad, index, base, dx, numel);
  const char* name = "gather_backward";
  acc_t<T>* sums = first_sums(on, name, base, dx, numel);
  launch(on, name, gather_add_kernel<T>, picks<T>(s), s, grad, index, sums, aligned(length_of(s), grad, index));
  round_sums(on, name, sums, base, dx, numel);
  return true;
}

// ---- embedding ----------------------------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_add_kernel(const T* grad, const int64_t* index, acc_t<T>* sums, int64_t rows, int64_t columns, int64_t n,
                         int64_t padding, bool aligned) {
  const Place<T> at;
  const int64_t left = columns - at.column;
  for (int64_t i = at.row; i < n && left > 0; i += at.step) {
    const int64_t k = index[i];
    SN_ASSERT(0 <= k && k < rows);
    if (k == padding) continue;
    const Pack<T> g = load(grad + i * columns + at.column, left, aligned);
#pragma unroll
    for (int lane = 0; lane < LANES<T>; lane++)
      if (lane < left) atomicAdd(sums + k * columns + at.column + lane, g.lane[lane]);
  }
}

template <class T>
bool embedding_backward(const Launch& on, const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows,
                        int64_t columns, int64_t n, int64_t padding, bool by_count) {
  if (by_count || on.deterministic())
    return gather_kernels(1).embedding_backward(on, grad, index, base, dweight, rows, columns, n, padding, by_count);
  const char* name = "embedding_backward";
  acc_t<T>* sums = first_sums(on, name, base, dweight, rows * columns);
  const bool wide = aligned(columns, grad);
  launch(on, name, embedding_add_kernel<T>, tiles<T>(n, columns), grad, index, sums, rows, columns, n, padding, wide);
  round_sums(on, name, sums, base, dweight, rows * columns);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_3) = {
    SN_FROM(gather_kernels(2), gather_forward),
    SN_TYPED(gather_backward),
    SN_FROM(gather_kernels(2), embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
