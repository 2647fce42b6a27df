// Matrix product, rung 4: tiles that keep the order of memory, and are read by packs.
//
//   layouts   neighbours in memory are neighbours in a tile, terms side by side or rows: a kernel for each pair
//   packs     a thread reads its numbers from shared memory 16 bytes (of terms: two numbers) at a time, where rung 3 reads each
//             by itself, and a warp stores them there without bank conflicts
//   epilogue  a thread's columns are then no neighbours: through shared memory its sums reach the thread that writes their pack
#include "cuda/ladder.h"
#include "cuda/matmul/batch.cuh"
#include "cuda/matmul/packs.cuh"
#include "cuda/matmul/registers.cuh"

namespace scratchnet {
namespace {

// Copies the rows and terms that exist; zero-fills the rest. Threads side by side read side by side.
template <class T, bool TERMS>
__device__ void fill(Tile<T, TERMS>& to, const Operand<T>& from, int rows, int64_t done, int64_t k) {
  constexpr int LENGTH = Tile<T, TERMS>::PACKS * LANES<T>;
  for (int i = threadIdx.x; i < to.LINES * LENGTH; i += PRODUCT_THREADS) {
    const int l = i / LENGTH, n = i % LENGTH, row = TERMS ? l : n;
    const int64_t term = done + (TERMS ? n : l);
    to.line[l][n] = row < rows && term < k ? from.data[row * from.row + term * from.term] : T{};
  }
}

// Block (tile, matrix).
template <class T, bool A, bool B>
__global__ void __launch_bounds__(PRODUCT_THREADS, PRODUCT_RESIDENT)
    matmul_product_kernel(Batch batch, int64_t first, Operand<T> a, Operand<T> b, int64_t k, Result<T> to) {
  __shared__ Shared<T, A, B, 1> shared;
  const int64_t m = a.rows, n = b.rows, matrix = first + blockIdx.y;
  const unsigned down = ceil_div(m, SIDE<T>);
  const int64_t row0 = (int64_t)(blockIdx.x % down) * SIDE<T>, column0 = (int64_t)(blockIdx.x / down) * SIDE<T>;
  const int rows = m - row0 < SIDE<T> ? m - row0 : SIDE<T>, columns = n - column0 < SIDE<T> ? n - column0 : SIDE<T>;
  a.data += batch.a_offset(matrix) + row0 * a.row;
  b.data += batch.b_offset(matrix) + column0 * b.row;

  Plain<T> math;
  for (int64_t done = 0; done < k; done += DEPTH<T>) {
    fill(shared.step->a, a, rows, done, k);
    fill(shared.step->b, b, columns, done, k);
    __syncthreads();  // the tiles are full
    math.multiply(shared.step->a, shared.step->b, rows, columns);
    __syncthreads();  // every thread is done with them
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
  const Operand<T> x = operand<T>(a.data, size.m, a.row, a.column);
  const Operand<T> y = operand<T>(b.data, size.n, b.column, b.row);
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

SN_DEFINE_RUNG(MatmulKernels, matmul_4) = {
    SN_TYPED(product),
    SN_FROM(matmul_kernels(3), activation_backward),
};

}  // namespace scratchnet
