// Sums of products by matrix units: a warp has 64 x 32 of them, as 4 x 4 of its units' results. Its functions are Plain's.
#pragma once
#include "cuda/matmul/registers.cuh"

namespace scratchnet {
namespace {

__device__ __forceinline__ int lane() { return threadIdx.x % 32; }

// 16-bit numbers, 16 terms at a time.
template <class Element>
struct Bits16 {
  using T = Element;
  static constexpr int STEP = 16;

  // 16 rows as four 8 x 8 matrices: of rows 0-7 and 8-15, both of terms 0-7, and the same of terms 8-15.
  __device__ static void load(uint32_t (&r)[4], const Tile<T, true>& tile, int row, int term) {
    load_matrices(r, tile.at(row + lane() % 16, term + lane() / 16 * 8));
  }
  __device__ static void load(uint32_t (&r)[4], const Tile<T, false>& tile, int row, int term) {
    load_matrices_transposed(r, tile.at(row + lane() / 8 % 2 * 8, term + lane() / 16 * 8 + lane() % 8));
  }
  __device__ static void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    multiply_16x8x16<T>(d, a, b);
  }
};

// float32 numbers rounded to TF32, 8 terms at a time.
struct Tf32 {
  using T = float;
  static constexpr int STEP = 8;

  template <bool TERMS>
  __device__ static void load(uint32_t (&r)[4], const Tile<float, TERMS>& tile, int row, int term) {
#pragma unroll
    for (int i = 0; i < 4; i++) r[i] = to_tf32(*tile.at(row + lane() / 4 + i % 2 * 8, term + lane() % 4 + i / 2 * 4));
  }
  __device__ static void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    multiply_16x8x8_tf32(d, a, b);
  }
};

template <class Unit>
struct MatrixUnits {
  using T = typename Unit::T;
  float sum[4][4][4] = {};
  int row = threadIdx.x / 128 * 64, column = threadIdx.x / 32 % 4 * 32;

  template <bool A, bool B>
  __device__ void multiply(const Tile<T, A>& a, const Tile<T, B>& b, int rows, int columns) {
    if (row >= rows || column >= columns) return;
#pragma unroll
    for (int term = 0; term < DEPTH<T>; term += Unit::STEP) {
      uint32_t x[4], y[2][4];
#pragma unroll
      for (int j = 0; j < 2; j++) Unit::load(y[j], b, column + 16 * j, term);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        Unit::load(x, a, row + 16 * i, term);
#pragma unroll
        for (int j = 0; j < 4; j++) Unit::multiply(sum[i][j], x, {y[j / 2][j % 2], y[j / 2][j % 2 + 2]});
      }
    }
  }

  template <bool A, bool B>
  __device__ void store(HalfOfSums<T>& to, int half) const {
    if (row / 64 != half) return;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) to[16 * i + e / 2 * 8 + lane() / 4][column + 8 * j + lane() % 4 * 2 + e % 2] = sum[i][j][e];
  }
};

}  // namespace
}  // namespace scratchnet
