// Sums over rows (bias and weight gradients) without atomics: every block leaves a partial sum of its rows, and a second kernel
// adds the partial sums in a fixed order. The same bits every run.
#pragma once
#include "cuda/scalar.cuh"
#include "cuda/tile.cuh"

namespace scratchnet {
namespace {

// Adds the packs of a block's rows and leaves the sums in row blockIdx.y of partial (gridDim.y, columns). All threads must
// call it.
template <class T>
__device__ void store_partial_sums(acc_t<T>* partial, const Pack<T>& own, int64_t column, int64_t columns) {
  __shared__ Pack<T> of_row[TILE_ROWS][TILE_THREADS / TILE_ROWS];
  Pack<T> sum = own;
  if (blockDim.y > 1) {
    of_row[threadIdx.y][threadIdx.x] = own;
    __syncthreads();
    if (threadIdx.y > 0) return;
    for (int row = 1; row < TILE_ROWS; row++)
#pragma unroll
      for (int i = 0; i < LANES<T>; i++) sum.lane[i] += of_row[row][threadIdx.x].lane[i];
  }
#pragma unroll
  for (int i = 0; i < LANES<T>; i++)
    if (column + i < columns) partial[blockIdx.y * columns + column + i] = sum.lane[i];
}

constexpr int SUM_COLUMNS = 32, SUM_ROWS = 8;

// sums (columns,) of partial (rows, columns): a warp reads 32 neighbours of a row, eight warps share the rows.
template <class A, class T>
__global__ void __launch_bounds__(SUM_COLUMNS* SUM_ROWS)
    column_sums_kernel(const A* partial, T* sums, int64_t rows, int64_t columns) {
  __shared__ A of_warp[SUM_ROWS][SUM_COLUMNS];
  const int64_t column = thread_index();
  A sum = 0;
  if (column < columns)
    for (int64_t row = threadIdx.y; row < rows; row += SUM_ROWS) sum += partial[row * columns + column];
  of_warp[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || column >= columns) return;
  for (int i = 1; i < SUM_ROWS; i++) sum += of_warp[i][threadIdx.x];
  store1(sums + column, sum);
}

template <class A, class T>
void column_sums(const Launch& on, const char* name, const A* partial, T* sums, int64_t rows, int64_t columns) {
  const Grid grid = {dim3(blocks_along_x(ceil_div(columns, SUM_COLUMNS))), dim3(SUM_COLUMNS, SUM_ROWS)};
  launch(on, name, column_sums_kernel<A, T>, grid, partial, sums, rows, columns);
}

}  // namespace
}  // namespace scratchnet
