// An operand of a product on its way from global to shared memory: any strides, a tile at a time.
#pragma once
#include "cuda/device.cuh"
#include "cuda/vector.cuh"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

constexpr int PRODUCT_THREADS = 256, PRODUCT_RESIDENT = 2;  // of a block; blocks that a multiprocessor has room for
template <class T>
constexpr int SIDE = sizeof(T) == 8 ? 64 : 128;  // rows and columns of y that a block computes
template <class T>
constexpr int DEPTH = 64 / sizeof(T);  // terms of the sums that it has in shared memory

// Rows of a or columns of b, both called rows here: term p of row i lies at data[i * row + p * term].
template <class T>
struct Operand {
  const T* data;
  int64_t rows, row, term;
  bool wide;  // 16 bytes at a time, by copies that run beside the computation
};

template <class T>
Operand<T> operand(const void* data, int64_t rows, int64_t row, int64_t term, const ProductSizes& size, const int64_t* batch) {
  if (rows == 1) row = 0;
  bool wide = (uintptr_t)data % 16 == 0 && (row == 1 || term == 1) && (term == 1 ? row : term) % LANES<T> == 0;
  for (int64_t i = 0; i < size.axes; i++) wide = wide && (size.batch[i] == 1 || batch[i] % LANES<T> == 0);
  return {(const T*)data, rows, row, term, wide};
}

// SIDE rows of DEPTH terms, with what lies side by side in global memory side by side here: terms of a row, or rows of a term.
// Lines have a few numbers more than are used, so that those one below the other are in different banks.
template <class T, bool TERMS>
struct __align__(16) Tile {
  static constexpr int LINES = TERMS ? SIDE<T> : DEPTH<T>, PACKS = (TERMS ? DEPTH<T> : SIDE<T>) / LANES<T>;
  T line[LINES][PACKS * LANES<T> + (TERMS ? LANES<T> : 8)];

  __device__ const T* at(int row, int term) const { return TERMS ? &line[row][term] : &line[term][row]; }

  // Copies the rows and terms that exist; zero-fills the rest.
  __device__ void copy(const Operand<T>& from, int rows, int64_t terms) {
#pragma unroll 1  // the registers hold sums
    for (int i = threadIdx.x; i < LINES * PACKS; i += PRODUCT_THREADS) {
      const int l = i / PACKS, first = i % PACKS * LANES<T>, row = TERMS ? l : first, term = TERMS ? first : l;
      const int64_t left = row < rows && term < terms ? (TERMS ? terms - term : rows - row) : 0;
      const T* p = from.data + row * from.row + term * from.term;
      if (from.wide) {
        copy_async(&line[l][first], p, left < LANES<T> ? left * sizeof(T) : 16);
      } else {
        const int64_t step = TERMS ? from.term : from.row;
#pragma unroll
        for (int e = 0; e < LANES<T>; e++) line[l][first + e] = e < left ? p[e * step] : T{};
      }
    }
  }
};

}  // namespace
}  // namespace scratchnet
