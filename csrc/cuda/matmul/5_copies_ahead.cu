// Matrix product, rung 5: copies that run ahead.
//
// Up to here a block waits for memory in every step, and each number goes through a register. Now shared memory has room for
// two steps: while the block multiplies the tiles of one, the next 64 bytes of each row are on their way to the other
// (cp.async), 16 bytes at a time and past the registers; one barrier a step is enough. What does not lie in multiples of 16
// bytes is copied number by number, ahead as well.
#include "cuda/ladder.h"
#include "cuda/matmul/batch.cuh"
#include "cuda/matmul/copies.cuh"
#include "cuda/matmul/packs.cuh"
#include "cuda/matmul/registers.cuh"

namespace scratchnet {
namespace {

// Block (tile, matrix).
template <class T, bool A, bool B>
__global__ void __launch_bounds__(PRODUCT_THREADS, PRODUCT_RESIDENT)
    matmul_product_kernel(Batch batch, int64_t first, Operand<T> a, Operand<T> b, int64_t k, Result<T> to) {
  __shared__ Shared<T, A, B, 2> shared;
  const int64_t m = a.rows, n = b.rows, matrix = first + blockIdx.y;
  const unsigned down = ceil_div(m, SIDE<T>);
  const int64_t row0 = (int64_t)(blockIdx.x % down) * SIDE<T>, column0 = (int64_t)(blockIdx.x / down) * SIDE<T>;
  const int rows = m - row0 < SIDE<T> ? m - row0 : SIDE<T>, columns = n - column0 < SIDE<T> ? n - column0 : SIDE<T>;
  a.data += batch.a_offset(matrix) + row0 * a.row;
  b.data += batch.b_offset(matrix) + column0 * b.row;

  Plain<T> math;
  const auto copy_step = [&](int64_t done) {
    auto& into = shared.step[done / DEPTH<T> % 2];
    copy(into.a, a, rows, k - done);
    copy(into.b, b, columns, k - done);
    copy_async_close();
    a.data += DEPTH<T> * a.term, b.data += DEPTH<T> * b.term;
  };
  if (k) copy_step(0);
  for (int64_t done = 0; done < k; done += DEPTH<T>) {
    copy_async_wait<0>();
    __syncthreads();  // this step has arrived, and every thread is done with the one before
    if (done + DEPTH<T> < k) copy_step(done + DEPTH<T>);
    const auto& tiles = shared.step[done / DEPTH<T> % 2];
    math.multiply(tiles.a, tiles.b, rows, columns);
  }

  constexpr int HEIGHT = SIDE<T> / 2, PACKS = SIDE<T> / LANES<T>;
  for (int half = 0; half < 2; half++) {
    __syncthreads();
    math.template store<A, B>(shared.sums, half);
    __syncthreads();
    for (int i = threadIdx.x; i < HEIGHT * PACKS; i += PRODUCT_THREADS) {
      const int r = i / PACKS, c = i % PACKS * LANES<T>;
      const int row = half * HEIGHT + r, left = columns - c;
      if (row >= rows || left <= 0) continue;
      Pack<T> pack;
#pragma unroll
      for (int e = 0; e < LANES<T>; e++) pack.lane[e] = shared.sums[r][c + e];
      to.put(pack, (matrix * m + row0 + row) * n + column0 + c, column0 + c, left);
    }
  }
}

template <class T>
void product(const Launch& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const Batch batch(size, a, b);
  const unsigned blocks = blocks_along_x(ceil_div(size.m, SIDE<T>) * ceil_div(size.n, SIDE<T>));
  Operand<T> x = operand<T>(a.data, size.m, a.row, a.column);
  Operand<T> y = operand<T>(b.data, size.n, b.column, b.row);
  x.wide = aligned(x, size, a.batch), y.wide = aligned(y, size, b.batch);
  const bool x_terms = x.row != 1 || x.term == 1, y_terms = y.row != 1 || y.term == 1;
  auto kernel = x_terms ? matmul_product_kernel<T, true, false> : matmul_product_kernel<T, false, false>;
  if (y_terms) kernel = x_terms ? matmul_product_kernel<T, true, true> : matmul_product_kernel<T, false, true>;
  const Result<T> result(to, size.n);
  for (int64_t first = 0; first < batch.count; first += MOST_MATRICES) {
    const Grid grid = {dim3(blocks, std::min(batch.count - first, MOST_MATRICES)), dim3(PRODUCT_THREADS)};
    launch(on, "matmul_product", kernel, grid, batch, first, x, y, size.k, result);
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_5) = {
    SN_TYPED(product),
    SN_FROM(matmul_kernels(4), activation_backward),
};

}  // namespace scratchnet
