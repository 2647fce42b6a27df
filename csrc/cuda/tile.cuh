// A matrix walked in 128-bit packs: each of a block's 256 threads takes one pack of columns in every step-th row.
#pragma once
#include <algorithm>

#include "cuda/launch.cuh"
#include "cuda/vector.cuh"

namespace scratchnet {
namespace {

constexpr int TILE_THREADS = 256, TILE_ROWS = 8;
constexpr int TILE_RESIDENT = 2;       // minimum resident blocks per SM; without a bound nvcc makes room for more and spills
constexpr int64_t TILE_BLOCKS = 2048;  // fill any GPU a few times over

// Eight rows at a time, a warp each, or a single one where there are few. How the rows are shared out depends on the sizes
// alone, and with it the order of every sum.
template <class T>
Grid tiles(int64_t rows, int64_t columns) {
  const int height = rows < TILE_ROWS ? 1 : TILE_ROWS, width = TILE_THREADS / height;
  const int64_t across = ceil_div(columns, width * LANES<T>), down = across ? ceil_div(TILE_BLOCKS, across) : 0;
  return {dim3(blocks_along_x(across), std::min(down, ceil_div(rows, height))), dim3(width, height)};
}

// The place of a thread: its columns, its first row, and how far the next one is.
template <class T>
struct Place {
  int64_t column = thread_index() * LANES<T>;
  int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y, step = (int64_t)gridDim.y * blockDim.y;
};

}  // namespace
}  // namespace scratchnet
