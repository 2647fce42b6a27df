// An operand of a product on its way from global to shared memory: any strides, a tile at a time.
#pragma once
#include "device.cuh"
#include "vector.cuh"

namespace scratchnet {
namespace {

constexpr int PRODUCT_THREADS = 256;
template <class T>
constexpr int SIDE = sizeof(T) == 8 ? 64 : 128;  // rows and columns of y that a block computes
template <class T>
constexpr int DEPTH = 64 / sizeof(T);  // terms of the sums that it has in shared memory

// Rows of a or columns of b, here both called rows: term p of row i lies at data[i * row + p * term].
template <class T>
struct Operand {
  const T* data;
  int64_t rows, row, term;
  bool wide;  // 16 bytes at a time, by copies that run beside the computation
};

// SIDE rows of DEPTH terms, with what lies side by side in global memory side by side here: terms of a row, or rows of a term.
// Lines have a few numbers more than are used, so that those one below the other are in different banks.
template <class T, bool TERMS>
struct __align__(16) Tile {
  static constexpr int LINES = TERMS ? SIDE<T> : DEPTH<T>, PACKS = (TERMS ? DEPTH<T> : SIDE<T>) / LANES<T>;
  T line[LINES][PACKS * LANES<T> + (TERMS ? LANES<T> : 8)];

  __device__ const T* at(int row, int term) const { return TERMS ? &line[row][term] : &line[term][row]; }

  // The terms from `term0` to `end` of the rows from `row0` on, as far as they go; beyond it is 0.
  __device__ void copy(const Operand<T>& from, int64_t row0, int64_t term0, int64_t end) {
#pragma unroll
    for (int i = threadIdx.x; i < LINES * PACKS; i += PRODUCT_THREADS) {
      const int l = i / PACKS, first = i % PACKS * LANES<T>;
      const int64_t row = row0 + (TERMS ? l : first), term = term0 + (TERMS ? first : l);
      const int64_t left = row < from.rows && term < end ? (TERMS ? end - term : from.rows - row) : 0;
      const T* p = left ? from.data + row * from.row + term * from.term : from.data;
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
