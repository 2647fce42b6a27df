// embedding_bag, rung 1: one thread per number of the result.
//
//   sum, mean   y[b][j] = share * sum of scale[p] * weight[index[p]][j]      dweight[index[p]][j] += share * scale[p] * g[b][j]
//   max         y[b][j] = the largest weight[index[p]][j], the first of equals      dweight[the row it is from][j] += g[b][j]
//   all         dscale[p] = sum over j of g[b][j] * weight[index[p]][j]
//
// share is 1 for a sum and 1 / the number of entries for a mean. In backward every thread goes through all bags, to find those
// with its row or its position.
#include "bags.cuh"
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void embedding_bag_forward_kernel(const __grid_constant__ Bags s, const T* weight, const T* scale, T* y,
                                             int64_t* which) {
  using A = acc_t<T>;
  const int64_t at = thread_index(), j = at % s.columns;
  if (at >= s.bags * s.columns) return;
  const Bag bag(s, at / s.columns);
  A result = 0;
  int64_t row = -1;
  for (int64_t p = bag.first; p < bag.last; p++) {
    const int64_t k = row_at(s, p);
    if (k < 0) continue;
    const A v = load1(weight + k * s.stride + j);
    if (s.mode != BagMode::max) result += (scale ? load1(scale + p) : A(1)) * v;
    else if (row < 0 || v > result) result = v, row = k;
  }
  store1(y + at, result * share<A>(s, bag));
  if (s.mode == BagMode::max) which[at] = row;
}

template <class T>
bool forward(const Launch& on, const Bags& s, const T* weight, const T* scale, T* y, int64_t* which) {
  const Grid grid = elementwise(s.bags * s.columns, THREADS);
  launch(on, "embedding_bag_forward", embedding_bag_forward_kernel<T>, grid, s, weight, scale, y, which);
  return true;
}

template <class T>
__global__ void embedding_bag_weight_kernel(const __grid_constant__ Bags s, const T* grad, const T* scale, const int64_t* which,
                                            T* dweight) {
  using A = acc_t<T>;
  const int64_t at = thread_index(), k = at / s.columns, j = at % s.columns;
  if (k >= s.rows) return;
  A sum = 0;
  for (int64_t b = 0; b < s.bags; b++) {
    const Bag bag(s, b);
    const A g = load1(grad + b * s.columns + j);
    if (s.mode == BagMode::max && which[b * s.columns + j] == k) sum += g;
    for (int64_t p = bag.first; p < bag.last && s.mode != BagMode::max; p++)
      if (row_at(s, p) == k) sum += (scale ? load1(scale + p) : A(1)) * share<A>(s, bag) * g;
  }
  store1(dweight + at, sum);
}

template <class T>
__global__ void embedding_bag_scale_kernel(const __grid_constant__ Bags s, const T* grad, const T* weight, T* dscale) {
  using A = acc_t<T>;
  const int64_t p = thread_index();
  if (p >= s.n) return;
  A dot = 0;
  for (int64_t b = 0; b < s.bags; b++) {
    const Bag bag(s, b);
    if (p < bag.first || p >= bag.last || row_at(s, p) < 0) continue;
    const T *g = grad + b * s.columns, *w = weight + s.index[p] * s.stride;
    for (int64_t j = 0; j < s.columns; j++) dot += load1(g + j) * load1(w + j);
    dot *= share<A>(s, bag);
  }
  store1(dscale + p, dot);
}

template <class T>
bool backward(const Launch& on, const Bags& s, const T* grad, const T* weight, const T* scale, const int64_t* which, T* dweight,
              T* dscale) {
  const char* name = "embedding_bag_backward";
  if (dweight) {
    const Grid grid = elementwise(s.rows * s.columns, THREADS);
    launch(on, name, embedding_bag_weight_kernel<T>, grid, s, grad, scale, which, dweight);
  }
  if (dscale) launch(on, name, embedding_bag_scale_kernel<T>, elementwise(s.n, THREADS), s, grad, weight, dscale);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(EmbeddingBagKernels, embedding_bag_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
