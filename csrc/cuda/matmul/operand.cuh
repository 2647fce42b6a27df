// An operand of a product on its way from global to shared memory: any strides, a tile at a time.
#pragma once
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
  bool wide = false;  // 16 bytes at a time, by copies that run beside the computation (copies.cuh)
};

template <class T>
Operand<T> operand(const void* data, int64_t rows, int64_t row, int64_t term) {
  return {(const T*)data, rows, rows == 1 ? 0 : row, term};
}

// SIDE rows of DEPTH terms, with what lies side by side in global memory side by side here: terms of a row, or rows of a term.
// Lines have a few numbers more than are used, so that those one below the other are in different banks.
template <class T, bool TERMS>
struct __align__(16) Tile {
  static constexpr int LINES = TERMS ? SIDE<T> : DEPTH<T>, PACKS = (TERMS ? DEPTH<T> : SIDE<T>) / LANES<T>;
  T line[LINES][PACKS * LANES<T> + (TERMS ? LANES<T> : 8)];

  __device__ const T* at(int row, int term) const { return TERMS ? &line[row][term] : &line[term][row]; }
};

}  // namespace
}  // namespace scratchnet
