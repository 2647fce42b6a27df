// gather, rung 2: copies of 128 bits, and sums by atomics or, where results must be reproducible, over a sorted index.
//
//   forward   y[i][j] = x[index[i][j]][j]       reads the index (8 bytes per element) and x, writes y
//   backward  dx[index[i][j]][j] += grad[i][j]  reads the index and grad, adds to dx (of 16-bit types in float32, rounded once)
//
// Atomics add in any order. Under torch.use_deterministic_algorithms the places in dx are sorted, each with the position of its
// gradient: those of one place then lie together, in the order of the index, and one thread adds them up. The same happens
// where an embedding divides by how often a row occurs.
#include <cub/device/device_radix_sort.cuh>

#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/tile.cuh"
#include "ops/gather.h"

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

// A thread takes a pack of columns at a place of the sorted list: the first of equal keys adds up the gradients of all.
template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    sum_sorted_kernel(const int64_t* key, const int64_t* position, const T* grad, T* dx, int64_t n, int64_t columns,
                      int64_t skipped, bool by_count, bool adds, bool aligned) {
  const int64_t packs = ceil_div(columns, LANES<T>), first = thread_index() / packs;
  const int64_t column = thread_index() % packs * LANES<T>, left = columns - column;
  if (first >= n || key[first] == skipped || (first > 0 && key[first - 1] == key[first])) return;
  T* const to = dx + key[first] * columns + column;
  Pack<T> sum = {};
  if (adds) sum = load(to, left, aligned);
  int64_t i = first;
  for (; i < n && key[i] == key[first]; i++) {
    const Pack<T> g = load(grad + position[i] * columns + column, left, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) sum.lane[k] += g.lane[k];
  }
  if (by_count)
    for (auto& s : sum.lane) s /= i - first;
  store(to, sum, left, aligned);
}

// dx (rows, columns) begins with `base` or zeros; to its row key[i] is added the sum of the rows position[i] of grad, unless it
// is the row `skipped`.
template <class T>
void sum_sorted(const Launch& on, const char* name, const int64_t* key, const int64_t* position, const T* grad, const T* base,
                T* dx, int64_t n, int64_t rows, int64_t columns, int64_t skipped, bool by_count) {
  begin_with(on, name, base, dx, rows * columns);
  if (!n) return;
  int64_t *sorted = on.allocate<int64_t>(n), *positions = on.allocate<int64_t>(n);
  int bits = 1;
  while (rows >> bits) bits++;
  size_t bytes = 0;
  const auto sort = [&](void* memory) {
    check(cub::DeviceRadixSort::SortPairs(memory, bytes, key, sorted, position, positions, n, 0, bits, on.stream), name);
  };
  sort(nullptr);  // tells how much memory it needs
  sort(on.allocate<char>(bytes));
  const Grid grid = elementwise(n * ceil_div(columns, LANES<T>), TILE_THREADS);
  const bool wide = aligned(columns, grad, dx);
  launch(on, name, sum_sorted_kernel<T>, grid, sorted, positions, grad, dx, n, columns, skipped, by_count, base, wide);
}

// ---- gather -------------------------------------------------------------------------------------------------------------

// How much of the index lies in a row: its columns or, where it has none, its entries along the dimension.
SN_ANYWHERE inline int64_t length_of(const GatherShape& s) { return s.columns > 1 ? s.columns : s.to; }

// The neighbours in the index that one thread takes, and where they point.
template <class T>
struct Picks {
  int64_t at, count = 0;                  // the first one's position in index, y and grad; how many exist
  __align__(16) int64_t place[LANES<T>];  // in x, of what each picks

  __device__ __forceinline__ Picks(const GatherShape& s, const int64_t* index, bool aligned) {
    const int64_t length = length_of(s), packs = ceil_div(length, LANES<T>);
    const int64_t row = thread_index() / packs, first = thread_index() % packs * LANES<T>;
    if (row * length >= s.elements()) return;
    const bool along_columns = s.columns > 1;
    const int64_t line = along_columns ? row / s.to : row;
    const int64_t i = along_columns ? row % s.to : first, j = along_columns ? first : 0;
    at = s.y_line(line) + i * s.y_row + j, count = length - first;
#pragma unroll
    for (int k = 0; k < LANES<T>; k += LANES<int64_t>) copy(place + k, index + at + k, count - k, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) {
      if (k >= count) return;
      SN_ASSERT(0 <= place[k] && place[k] < s.from);
      place[k] = s.x_line(line) + place[k] * s.x_row + (along_columns ? (j + k) * s.x_column : 0);
    }
  }
};

template <class T>
Grid picks(const GatherShape& s) {
  const int64_t elements = s.elements(), length = length_of(s);
  return elementwise(elements ? elements / length * ceil_div(length, LANES<T>) : 0, TILE_THREADS);
}

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
  const char* name = "gather_backward";
  if (on.deterministic()) {
    const int64_t n = s.elements();
    int64_t *place = on.allocate<int64_t>(n), *position = on.allocate<int64_t>(n);
    const bool wide = aligned(length_of(s), (const T*)nullptr, index);
    launch(on, name, gather_list_kernel<T>, picks<T>(s), s, index, place, position, wide);
    sum_sorted(on, name, place, position, grad, base, dx, n, numel, 1, -1, false);
  } else {
    acc_t<T>* sums = first_sums(on, name, base, dx, numel);
    launch(on, name, gather_add_kernel<T>, picks<T>(s), s, grad, index, sums, aligned(length_of(s), grad, index));
    round_sums(on, name, sums, base, dx, numel);
  }
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
  const char* name = "embedding_backward";
  if (by_count || on.deterministic()) {
    int64_t* position = on.allocate<int64_t>(n);
    launch(on, name, embedding_list_kernel, elementwise(n, TILE_THREADS), index, position, rows, n);
    sum_sorted(on, name, index, position, grad, base, dweight, n, rows, columns, padding, by_count);
  } else {
    acc_t<T>* sums = first_sums(on, name, base, dweight, rows * columns);
    const bool wide = aligned(columns, grad);
    launch(on, name, embedding_add_kernel<T>, tiles<T>(n, columns), grad, index, sums, rows, columns, n, padding, wide);
    round_sums(on, name, sums, base, dweight, rows * columns);
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_2) = {
    SN_TYPED(gather_forward),
    SN_TYPED(gather_backward),
    SN_TYPED(embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
