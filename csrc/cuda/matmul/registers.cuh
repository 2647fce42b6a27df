// What a block makes of two tiles in shared memory: sums of products, spread over its threads' registers.
#pragma once
#include "cuda/matmul/operand.cuh"

namespace scratchnet {
namespace {

template <class T>
using HalfOfSums = acc_t<T>[SIDE<T> / 2][SIDE<T> + 4];

// Tiles of some steps; later, for the epilogue, sums.
template <class T, bool A, bool B, int STEPS>
union __align__(16) Shared {
  struct {
    Tile<T, A> a;
    Tile<T, B> b;
  } step[STEPS];
  HalfOfSums<T> sums;
};

// A thread has SIZE x SIZE of the sums: 2 SIZE numbers serve SIZE^2 multiply-adds. `multiply` adds the product of a tile of a
// and a tile of b, of which only the first `rows` and `columns` matter; `store` leaves the upper or the lower half of the sums
// in shared memory.
template <class Element>
struct Plain {
  using T = Element;
  static constexpr int SIZE = SIDE<T> / 16, N = LANES<T>;
  acc_t<T> sum[SIZE][SIZE] = {};
  int down = threadIdx.x / 16, across = threadIdx.x % 16;

  // Which row (or column) is number i of a thread's: threads side by side read side by side, or from neighbouring lines.
  template <bool TERMS>
  __device__ static int place(int thread, int i) {
    return TERMS ? i * 16 + thread : (i / N * 16 + thread) * N + i % N;
  }

  // Whether that is a row of the upper half, 0, or of the lower one, 1. With packs of 16-bit numbers a thread has one of them.
  template <bool TERMS>
  __device__ static int half_of(int thread, int i) {
    return TERMS || N < SIZE ? i / (SIZE / 2) : thread / 8;
  }

  struct __align__(2 * sizeof(T)) Two {
    T term[2];
  };

  // Two terms of each of a thread's rows.
  template <bool TERMS>
  __device__ static void load(acc_t<T> (&x)[2][SIZE], const Tile<T, TERMS>& tile, int thread, int term) {
#pragma unroll
    for (int i = 0; i < SIZE; i += TERMS ? 1 : N)
#pragma unroll
      for (int p = 0; p < 2; p++)
        if constexpr (TERMS) {
          x[p][i] = load1(((const Two*)tile.at(place<TERMS>(thread, i), term))->term + p);
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
      acc_t<T> x[2][SIZE], y[2][SIZE];
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
      if (half_of<A>(down, i) == half)
#pragma unroll
        for (int j = 0; j < SIZE; j++) to[place<A>(down, i) % (SIDE<T> / 2)][place<B>(across, j)] = sum[i][j];
  }
};

}  // namespace
}  // namespace scratchnet
