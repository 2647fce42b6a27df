// Sums over a sorted index: what is added to one place lies together, in the order of the index, and one thread adds it up.
#pragma once
#include <cub/device/device_radix_sort.cuh>

#include "cuda/ladder.h"
#include "cuda/tile.cuh"

namespace scratchnet {
namespace {

// Sorts n keys from 0 to `most` and their positions; equal ones keep their order.
inline void sort_pairs(const Launch& on, const char* name, const int64_t* key, const int64_t* position, int64_t* sorted,
                       int64_t* positions, int64_t n, int64_t most) {
  int bits = 1;
  while (most >> bits) bits++;
  size_t bytes = 0;
  const auto sort = [&](void* memory) {
    check(cub::DeviceRadixSort::SortPairs(memory, bytes, key, sorted, position, positions, n, 0, bits, on.stream), name);
  };
  sort(nullptr);  // tells how much memory it needs
  sort(on.allocate<char>(bytes));
}

// The terms of a sum: rows of grad.
template <class T>
struct RowsOf {
  const T* grad;

  __device__ __forceinline__ void add(Pack<T>& sum, int64_t, int64_t position, int64_t column, int64_t columns, bool aligned) {
    const Pack<T> g = load(grad + position * columns + column, columns - column, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) sum.lane[k] += g.lane[k];
  }
};

// A thread takes a pack of columns at a place of the sorted list: the first of equal keys adds up the terms of all.
template <class T, class Terms>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    sum_sorted_kernel(const int64_t* key, const int64_t* position, Terms terms, T* dx, int64_t n, int64_t columns,
                      int64_t skipped, bool by_count, bool adds, bool aligned) {
  const int64_t packs = ceil_div(columns, LANES<T>), first = thread_index() / packs;
  const int64_t column = thread_index() % packs * LANES<T>, left = columns - column;
  if (first >= n || key[first] == skipped || (first > 0 && key[first - 1] == key[first])) return;
  T* const to = dx + key[first] * columns + column;
  Pack<T> sum = {};
  if (adds) sum = load(to, left, aligned);
  int64_t i = first;
  for (; i < n && key[i] == key[first]; i++) terms.add(sum, key[first], position[i], column, columns, aligned);
  if (by_count)
    for (auto& s : sum.lane) s /= i - first;
  store(to, sum, left, aligned);
}

// dx (rows, columns) begins with `base` or zeros; to its row key[i] is added the term of position[i], unless it is the row
// `skipped`.
template <class T, class Terms>
void sum_sorted(const Launch& on, const char* name, const int64_t* key, const int64_t* position, Terms terms, const T* base,
                T* dx, int64_t n, int64_t rows, int64_t columns, int64_t skipped, bool by_count) {
  begin_with(on, name, base, dx, rows * columns);
  if (!n) return;
  int64_t *sorted = on.allocate<int64_t>(n), *positions = on.allocate<int64_t>(n);
  sort_pairs(on, name, key, position, sorted, positions, n, rows);
  const Grid grid = elementwise(n * ceil_div(columns, LANES<T>), TILE_THREADS);
  const bool wide = aligned(columns, terms.grad, dx);
  launch(on, name, sum_sorted_kernel<T, Terms>, grid, sorted, positions, terms, dx, n, columns, skipped, by_count, base, wide);
}

}  // namespace
}  // namespace scratchnet
