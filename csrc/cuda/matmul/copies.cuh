// Copies from global to shared memory that run beside the computation.
#pragma once
#include "cuda/device.cuh"
#include "cuda/matmul/operand.cuh"

namespace scratchnet {
namespace {

// Whether all that is copied at a time lies in order, from a multiple of 16 bytes on.
template <class T>
bool aligned(const Operand<T>& x, const ProductSizes& size, const int64_t* batch) {
  bool wide = (uintptr_t)x.data % 16 == 0 && (x.row == 1 || x.term == 1) && (x.term == 1 ? x.row : x.term) % LANES<T> == 0;
  for (int64_t i = 0; i < size.axes; i++) wide = wide && (size.batch[i] == 1 || batch[i] % LANES<T> == 0);
  return wide;
}

// Copies the rows and terms that exist; zero-fills the rest.
template <class T, bool TERMS>
__device__ void copy(Tile<T, TERMS>& to, const Operand<T>& from, int rows, int64_t terms) {
#pragma unroll 1  // the registers hold sums
  for (int i = threadIdx.x; i < to.LINES * to.PACKS; i += PRODUCT_THREADS) {
    const int l = i / to.PACKS, first = i % to.PACKS * LANES<T>, row = TERMS ? l : first, term = TERMS ? first : l;
    const int64_t left = row < rows && term < terms ? (TERMS ? terms - term : rows - row) : 0;
    const T* p = from.data + row * from.row + term * from.term;
    if (from.wide) {
      copy_async(&to.line[l][first], p, left < LANES<T> ? left * sizeof(T) : 16);
    } else {
      const int64_t step = TERMS ? from.term : from.row;
#pragma unroll
      for (int e = 0; e < LANES<T>; e++) to.line[l][first + e] = e < left ? p[e * step] : T{};
    }
  }
}

}  // namespace
}  // namespace scratchnet
