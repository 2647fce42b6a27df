// Rows of a tensor (outer, classes, inner), reduced over classes: which thread reads what.
#pragma once
#include "cuda/launch.cuh"

namespace scratchnet {
namespace {

constexpr int ROW_THREADS = 256, ROW_RESIDENT = 2, STRIP_WIDTH = 32, STRIP_HEIGHT = ROW_THREADS / STRIP_WIDTH;

// Where a thread stands, which takes N neighbours in memory at a time. In a row that lies in order (inner = 1), which a whole
// block walks, these are successive classes. Otherwise (STRIP) they are the same class of successive rows, the block has a
// strip of rows, and eight threads, one below the other, share the classes of each.
template <bool STRIP, int N = 1>
struct Place {
  static constexpr int COUNT = STRIP ? N : 1;  // rows of a thread

  int64_t classes, inner, row, left;  // the first row of the thread; how many rows there are from there on, with STRIP
  int64_t begin;                      // of the row in the tensor
  int64_t first, step;                // classes of the thread

  __device__ Place(int64_t classes, int64_t inner) : classes(classes), inner(inner) {
    if constexpr (STRIP) {
      const int64_t strips = (inner + STRIP_WIDTH * N - 1) / (STRIP_WIDTH * N), outer = blockIdx.x / strips;
      const int64_t j = (blockIdx.x % strips * STRIP_WIDTH + threadIdx.x) * N;
      left = inner - j;
      row = outer * inner + j, begin = outer * classes * inner + j;
      first = left > 0 ? threadIdx.y : classes, step = STRIP_HEIGHT;
    } else {
      left = 1;
      row = blockIdx.x, begin = row * classes;
      first = threadIdx.x * N, step = (int64_t)blockDim.x * N;
    }
  }

  __device__ int64_t at(int64_t c) const { return begin + c * inner; }
  // f(first class) wherever the thread reads
  template <class F>
  __device__ void for_each(const F& f) const {
    for (int64_t c = first; c < classes; c += step) f(c);
  }
  // f(number of a row) for the thread's rows, in one thread of those that share a row
  template <class F>
  __device__ void once(const F& f) const {
    if (STRIP ? threadIdx.y == 0 : threadIdx.x == 0)
#pragma unroll
      for (int r = 0; r < COUNT; r++)
        if (r < left) f(r);
  }
};

// Short rows take smaller blocks.
template <int N = 1>
Grid rows_grid(int64_t outer, int64_t classes, int64_t inner) {
  if (inner != 1) return {dim3(blocks_along_x(outer * ceil_div(inner, STRIP_WIDTH * N))), dim3(STRIP_WIDTH, STRIP_HEIGHT)};
  int threads = 32;
  while (threads < ROW_THREADS && threads * N < classes) threads *= 2;
  return {dim3(blocks_along_x(outer)), dim3(threads)};
}

}  // namespace
}  // namespace scratchnet
