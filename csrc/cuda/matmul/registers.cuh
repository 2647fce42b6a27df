// What a block makes of two tiles in shared memory: sums of products, spread over its threads' registers.
//
// Both kinds have the same functions: `multiply` adds the product of a tile of a and a tile of b (only the first `rows`
// and `columns` matter); `store` leaves the upper or the lower half of the sums in shared memory.
#pragma once
#include "cuda/matmul/operand.cuh"

namespace scratchnet {
namespace {

template <class T>
using HalfOfSums = acc_t<T>[SIDE<T> / 2][SIDE<T> + 4];

// ---- Without matrix units: a thread has SIZE x SIZE of the sums: 2 SIZE numbers serve SIZE^2 multiply-adds ----------------

template <class Element>
struct Plain {
  using T = Element;
  static constexpr int SIZE = SIDE<T> / 16, N = LANES<T>;
  T sum[SIZE][SIZE] = {};
  int down = threadIdx.x / 16, across = threadIdx.x % 16;

  // Which row (or column) is number i of a thread's: threads side by side read side by side, or from neighbouring lines.
  template <bool TERMS>
  __device__ static int place(int thread, int i) {
    return TERMS ? i * 16 + thread : (i / N * 16 + thread) * N + i % N;
  }

  struct __align__(2 * sizeof(T)) Two {
    T term[2];
  };

  // Two terms of each of a thread's rows.
  template <bool TERMS>
  __device__ static void load(T (&x)[2][SIZE], const Tile<T, TERMS>& tile, int thread, int term) {
#pragma unroll
    for (int i = 0; i < SIZE; i += TERMS ? 1 : N)
#pragma unroll
      for (int p = 0; p < 2; p++)
        if constexpr (TERMS) {
          x[p][i] = ((const Two*)tile.at(place<TERMS>(thread, i), term))->term[p];
        } else {
          const Pack<T> pack = unpack(*(const Bits<T>*)tile.at(place<TERMS>(thread, i), term + p));
#pragma unroll
          for (int e = 0; e < N; e++) x[p][i + e] = pack.lane[e];
        }
  }

  template <bool A, bool B>
  __device__ void multiply(const Tile<T, A>& a, const Tile<T, B>& b, int rows, int columns) {
    if (place<A>(down, 0) >= rows || place<B>(across, 0) >= columns) return;
#pragma unroll 1  // more would take more registers than two blocks have
    for (int term = 0; term < DEPTH<T>; term += 2) {
      T x[2][SIZE], y[2][SIZE];
      load(x, a, down, term);
      load(y, b, across, term);
#pragma unroll
      for (int p = 0; p < 2; p++)
#pragma unroll
        for (int i = 0; i < SIZE; i++)
#pragma unroll
          for (int j = 0; j < SIZE; j++) sum[i][j] += x[p][i] * y[p][j];
    }
  }

  template <bool A, bool B>
  __device__ void store(HalfOfSums<T>& to, int half) const {
#pragma unroll
    for (int i = 0; i < SIZE; i++)
      if (i / (SIZE / 2) == half)
#pragma unroll
        for (int j = 0; j < SIZE; j++) to[place<A>(down, i) % (SIDE<T> / 2)][place<B>(across, j)] = sum[i][j];
  }
};

// ---- With matrix units: a warp has 64 x 32 of the sums, as 4 x 4 of its units' results --------------------------------------

// 16-bit numbers, 16 terms at a time.
template <class Element>
struct Bits16 {
  using T = Element;
  static constexpr int STEP = 16;

  // 16 rows as four 8 x 8 matrices: of rows 0-7 and 8-15, both of terms 0-7, and the same of terms 8-15.
  __device__ static void load(uint32_t (&r)[4], const Tile<T, true>& tile, int row, int term) {
    const int lane = threadIdx.x % 32;
    load_matrices(r, tile.at(row + lane % 16, term + lane / 16 * 8));
  }
  __device__ static void load(uint32_t (&r)[4], const Tile<T, false>& tile, int row, int term) {
    const int lane = threadIdx.x % 32;
    load_matrices_transposed(r, tile.at(row + lane / 8 % 2 * 8, term + lane / 16 * 8 + lane % 8));
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
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; i++) r[i] = to_tf32(*tile.at(row + lane / 4 + i % 2 * 8, term + lane % 4 + i / 2 * 4));
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
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) to[16 * i + e / 2 * 8 + lane / 4][column + 8 * j + lane % 4 * 2 + e % 2] = sum[i][j][e];
  }
};

}  // namespace
}  // namespace scratchnet
