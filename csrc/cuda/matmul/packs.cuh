// Where sums end in packs of 128 bits, and the backward of an activation, whose threads share the rows of their columns.
#pragma once
#include "cuda/column_sums.cuh"
#include "cuda/ladder.h"
#include "ops/activation_scalar.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

// What becomes of the sums.
template <class T>
struct Result {
  T *y, *z;
  const T* bias;
  Activation activation;
  bool accumulate, wide;

  Result(const Epilogue& to, int64_t n)
      : y((T*)to.y),
        z((T*)to.z),
        bias((const T*)to.bias),
        activation(to.activation),
        accumulate(to.accumulate),
        wide(aligned(n, y, z, bias)) {}

  // Stores a pack of adjacent outputs from y[at] on; only `left` of them are in range.
  __device__ void put(Pack<T> pack, int64_t at, int64_t column, int64_t left) const {
    const Pack<T> before = accumulate ? load(y + at, left, wide) : Pack<T>{};
    const Pack<T> b = bias ? load(bias + column, left, wide) : Pack<T>{};
#pragma unroll
    for (int i = 0; i < LANES<T>; i++) pack.lane[i] += before.lane[i] + b.lane[i];
    if (z) store(z + at, pack, left, wide);
#pragma unroll
    for (int i = 0; i < LANES<T>; i++) pack.lane[i] = activate(pack.lane[i], activation);
    store(y + at, pack, left, wide);
  }
};

// dz = grad act'(saved), and its sums down the columns on the way.
template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    linear_activation_backward_kernel(const T* grad, const T* saved, T* dz, acc_t<T>* partial, int64_t rows, int64_t columns,
                                      Activation activation, bool aligned) {
  const Place<T> at;
  const int64_t left = columns - at.column;  // 0 or less beyond the last column: no rows, but the barriers of the sums
  Pack<T> sum = {};
  for (int64_t row = at.row; row < rows && left > 0; row += at.step) {
    const int64_t i = row * columns + at.column;
    Pack<T> d = load(grad + i, left, aligned);
    const Pack<T> s = activation == Activation::none ? Pack<T>{} : load(saved + i, left, aligned);
#pragma unroll
    for (int e = 0; e < LANES<T>; e++) {
      d.lane[e] *= slope(s.lane[e], activation);
      sum.lane[e] += d.lane[e];
    }
    if (dz) store(dz + i, d, left, aligned);
  }
  if (partial) store_partial_sums(partial, sum, at.column, columns);
}

template <class T>
void activation_backward(const Launch& on, const T* grad, const T* saved, T* dz, T* dbias, int64_t rows, int64_t columns,
                         Activation activation) {
  const char* const name = "linear_activation_backward";
  const Grid grid = tiles<T>(rows, columns);
  acc_t<T>* partial = dbias ? on.allocate<acc_t<T>>(grid.blocks.y * columns) : nullptr;
  const bool wide = aligned(columns, grad, saved, dz);
  const auto kernel = linear_activation_backward_kernel<T>;
  launch(on, name, kernel, grid, grad, saved, dz, partial, rows, columns, activation, wide);
  if (dbias) column_sums(on, name, partial, dbias, grid.blocks.y, columns);
}

}  // namespace
}  // namespace scratchnet
