// embedding_bag, rung 2: rows in packs of 128 bits, a warp for each dot product.
//
//   forward   reads offsets and index (8 bytes an entry) and the rows that the bags name, writes each bag once
//   backward  a thread has a pack of columns of a row of dweight and still goes through all bags to find that row; a warp has a
//             position of dscale, finds its bag by halving, and reads two rows
#include "bags.cuh"
#include "cuda/ladder.h"
#include "cuda/reduce.cuh"
#include "cuda/tile.cuh"

namespace scratchnet {
namespace {

template <class T, bool MAX>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_bag_forward_kernel(const __grid_constant__ Bags s, const T* weight, const T* scale, T* y, int64_t* which,
                                 bool aligned) {
  using A = acc_t<T>;
  const Place<T> at;
  const int64_t left = s.columns - at.column;
  for (int64_t b = at.row; b < s.bags && left > 0; b += at.step) {
    const Bag bag(s, b);
    Pack<T> result = {};
    __align__(16) int64_t row[LANES<T>];
    for (auto& r : row) r = -1;
    for (int64_t p = bag.first; p < bag.last; p++) {
      const int64_t k = row_at(s, p);
      if (k < 0) continue;
      const Pack<T> v = load(weight + k * s.stride + at.column, left, aligned);
      const A factor = !MAX && scale ? load1(scale + p) : A(1);
#pragma unroll
      for (int i = 0; i < LANES<T>; i++) {
        if (!MAX) result.lane[i] += factor * v.lane[i];
        else if (row[i] < 0 || v.lane[i] > result.lane[i]) result.lane[i] = v.lane[i], row[i] = k;
      }
    }
    const A of_bag = share<A>(s, bag);
    for (auto& r : result.lane) r *= of_bag;
    store(y + b * s.columns + at.column, result, left, aligned);
#pragma unroll
    for (int i = 0; MAX && i < LANES<T>; i += LANES<int64_t>)
      copy(which + b * s.columns + at.column + i, row + i, left - i, aligned);
  }
}

template <class T>
bool forward(const Launch& on, const Bags& s, const T* weight, const T* scale, T* y, int64_t* which) {
  const bool max = s.mode == BagMode::max, wide = aligned(s.columns, weight, y) && s.stride % LANES<T> == 0;
  const auto kernel = max ? embedding_bag_forward_kernel<T, true> : embedding_bag_forward_kernel<T, false>;
  launch(on, "embedding_bag_forward", kernel, tiles<T>(s.bags, s.columns), s, weight, scale, y, which, wide);
  return true;
}

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_bag_weight_kernel(const __grid_constant__ Bags s, const T* grad, const T* scale, const int64_t* which, T* dweight,
                                bool aligned) {
  using A = acc_t<T>;
  const Place<T> at;
  const int64_t left = s.columns - at.column;
  for (int64_t k = at.row; k < s.rows && left > 0; k += at.step) {
    Pack<T> sum = {};
    for (int64_t b = 0; b < s.bags; b++) {
      const Bag bag(s, b);
      const int64_t from = b * s.columns + at.column;
      if (s.mode == BagMode::max) {
        const Pack<T> g = load(grad + from, left, aligned);
#pragma unroll
        for (int i = 0; i < LANES<T>; i++)
          if (i < left && which[from + i] == k) sum.lane[i] += g.lane[i];
        continue;
      }
      for (int64_t p = bag.first; p < bag.last; p++) {
        if (row_at(s, p) != k) continue;
        const A factor = (scale ? load1(scale + p) : A(1)) * share<A>(s, bag);
        const Pack<T> g = load(grad + from, left, aligned);
#pragma unroll
        for (int i = 0; i < LANES<T>; i++) sum.lane[i] += factor * g.lane[i];
      }
    }
    store(dweight + k * s.columns + at.column, sum, left, aligned);
  }
}

// The bag of a position; s.bags for one in none.
__device__ __forceinline__ int64_t bag_of(const Bags& s, int64_t position) {
  int64_t low = 0, high = s.bags;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (s.offsets[middle + 1] > position) high = middle;
    else low = middle + 1;
  }
  return low;
}

template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_bag_scale_kernel(const __grid_constant__ Bags s, const T* grad, const T* weight, T* dscale, bool aligned) {
  using A = acc_t<T>;
  const int64_t p = thread_index() / 32, lane = threadIdx.x % 32;
  if (p >= s.n) return;
  const int64_t b = bag_of(s, p), k = b < s.bags ? row_at(s, p) : -1;
  A dot = 0;
  for (int64_t j = lane * LANES<T>; k >= 0 && j < s.columns; j += 32 * LANES<T>) {
    const Pack<T> g = load(grad + b * s.columns + j, s.columns - j, aligned);
    const Pack<T> w = load(weight + k * s.stride + j, s.columns - j, aligned);
#pragma unroll
    for (int i = 0; i < LANES<T>; i++) dot += g.lane[i] * w.lane[i];
  }
  dot = reduce_warp(dot, Add());
  if (lane == 0) store1(dscale + p, k < 0 ? A(0) : dot * share<A>(s, Bag(s, b)));
}

template <class T>
bool backward(const Launch& on, const Bags& s, const T* grad, const T* weight, const T* scale, const int64_t* which, T* dweight,
              T* dscale) {
  const char* name = "embedding_bag_backward";
  if (dweight) {
    const Grid grid = tiles<T>(s.rows, s.columns);
    launch(on, name, embedding_bag_weight_kernel<T>, grid, s, grad, scale, which, dweight, aligned(s.columns, grad, dweight));
  }
  if (dscale) {
    const bool wide = aligned(s.columns, grad, weight) && s.stride % LANES<T> == 0;
    launch(on, name, embedding_bag_scale_kernel<T>, elementwise(32 * s.n, TILE_THREADS), s, grad, weight, dscale, wide);
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(EmbeddingBagKernels, embedding_bag_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
