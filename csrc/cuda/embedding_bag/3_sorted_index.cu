// embedding_bag, rung 3: the gradient of the table over a sorted index, which is read once.
//
//   backward  lists of each position its row and its bag, sorts them by row; row k of dweight is then the sum of the gradients
//             of the bags next to each other in that list, in the order of the index: the same bits every run
//             reads the index, writes and reads 4 lists (8 bytes an entry) besides what the sort moves, reads a row of grad for
//             each entry, fills dweight with zeros and writes the rows that occur
#include "bags.cuh"
#include "cuda/gather/sorted_sums.cuh"
#include "cuda/ladder.h"
#include "cuda/reduce.cuh"

namespace scratchnet {
namespace {

// A warp goes through a bag: row and bag of each position, and what its sum is multiplied by. Entries that are absent or behind
// the last bag get the row s.rows.
template <class A>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    embedding_bag_list_kernel(const __grid_constant__ Bags s, int64_t* row, int64_t* position, int64_t* bag, A* shares) {
  const int64_t b = thread_index() / 32, lane = threadIdx.x % 32;
  if (b > s.bags) return;
  const Bag own(s, b);
  int count = 0;
  for (int64_t p = own.first + lane; p < own.last; p += 32) {
    const int64_t k = b < s.bags ? row_at(s, p) : -1;
    row[p] = k < 0 ? s.rows : k, position[p] = p, bag[p] = b;
    count += k >= 0;
  }
  count = reduce_warp(count, Add());
  if (lane == 0) shares[b] = A(1) / (s.mode == BagMode::mean && count ? count : 1);
}

// The terms of a sum: gradients of the bags that positions are in; of a maximum, what is from the row, once for each bag.
template <class T>
struct BagsOf {
  const T *grad, *scale;
  const int64_t *bag, *which;
  const acc_t<T>* shares;
  int64_t last = -1;

  __device__ __forceinline__ void add(Pack<T>& sum, int64_t row, int64_t position, int64_t column, int64_t columns,
                                      bool aligned) {
    const int64_t b = bag[position], from = b * columns + column, left = columns - column;
    if (which && b == last) return;
    last = b;
    const acc_t<T> factor = (scale ? load1(scale + position) : acc_t<T>(1)) * shares[b];
    const Pack<T> g = load(grad + from, left, aligned);
#pragma unroll
    for (int i = 0; i < LANES<T>; i++)
      if (!which || (i < left && which[from + i] == row)) sum.lane[i] += factor * g.lane[i];
  }
};

template <class T>
bool backward(const Launch& on, const Bags& s, const T* grad, const T* weight, const T* scale, const int64_t* which, T* dweight,
              T* dscale) {
  const char* name = "embedding_bag_backward";
  if (dscale) embedding_bag_kernels(2).backward(on, s, grad, weight, scale, which, nullptr, dscale);
  if (!dweight) return true;
  int64_t *row = on.allocate<int64_t>(s.n), *position = on.allocate<int64_t>(s.n), *bag = on.allocate<int64_t>(s.n);
  auto* shares = on.allocate<acc_t<T>>(s.bags + 1);
  const Grid grid = elementwise(32 * (s.bags + 1), TILE_THREADS);
  launch(on, name, embedding_bag_list_kernel<acc_t<T>>, grid, s, row, position, bag, shares);
  const BagsOf<T> terms = {grad, scale, bag, s.mode == BagMode::max ? which : nullptr, shares};
  sum_sorted(on, name, row, position, terms, (const T*)nullptr, dweight, s.n, s.rows, s.columns, s.rows, false);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(EmbeddingBagKernels, embedding_bag_3) = {SN_FROM(embedding_bag_kernels(2), forward), SN_TYPED(backward)};

}  // namespace scratchnet
