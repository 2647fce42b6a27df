// Matrix product, rung 2: a number that a thread loads into shared memory serves a whole row or column of its block.
//
// A block has 16 x 16 of y, a thread one element. For 16 terms of the sums at a time, each thread copies one number of a and
// one of b; then every thread reads 16 of each from shared memory. Of global memory, a is read n / 16 times and b m / 16 times,
// where rung 1 reads them n and m times.
#include <algorithm>

#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/matmul/batch.cuh"
#include "cuda/scalar.cuh"
#include "ops/activation_scalar.h"

namespace scratchnet {
namespace {

constexpr int SIDE = 16;  // SIDE x SIDE threads

// Block (tile of y, matrix).
template <class T>
__global__ void __launch_bounds__(SIDE* SIDE)
    matmul_product_kernel(Batch batch, int64_t first, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Epilogue to) {
  __shared__ acc_t<T> a_tile[SIDE][SIDE], b_tile[SIDE][SIDE];
  const int64_t index = first + blockIdx.y, down = ceil_div(m, SIDE);
  const int x = threadIdx.x, y = threadIdx.y;
  const int64_t i = blockIdx.x % down * SIDE + y, j = blockIdx.x / down * SIDE + x;
  const T* a_i = (const T*)a.data + batch.a_offset(index) + i * a.row;
  const T* b_j = (const T*)b.data + batch.b_offset(index) + j * b.column;
  acc_t<T> z = 0;
  for (int64_t done = 0; done < k; done += SIDE) {
    a_tile[y][x] = i < m && done + x < k ? load1(a_i + (done + x) * a.column) : acc_t<T>(0);
    b_tile[y][x] = j < n && done + y < k ? load1(b_j + (done + y) * b.row) : acc_t<T>(0);
    __syncthreads();  // the tiles are full
    for (int p = 0; p < SIDE; p++) z += a_tile[y][p] * b_tile[p][x];
    __syncthreads();  // every thread is done with them
  }
  if (i >= m || j >= n) return;
  const int64_t at = (index * m + i) * n + j;
  if (to.accumulate) z += load1((const T*)to.y + at);
  if (to.bias) z += load1((const T*)to.bias + j);
  if (to.z) store1((T*)to.z + at, z);
  store1((T*)to.y + at, activate(z, to.activation));
}

template <class T>
void product(const Launch& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const Batch batch(size, a, b);
  const unsigned blocks = blocks_along_x(ceil_div(size.m, SIDE) * ceil_div(size.n, SIDE));
  for (int64_t first = 0; first < batch.count; first += MOST_MATRICES) {
    const Grid grid = {dim3(blocks, std::min(batch.count - first, MOST_MATRICES)), dim3(SIDE, SIDE)};
    launch(on, "matmul_product", matmul_product_kernel<T>, grid, batch, first, size.m, size.n, size.k, a, b, to);
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_2) = {
    SN_TYPED(product),
    SN_FROM(matmul_kernels(1), activation_backward),
};

}  // namespace scratchnet
