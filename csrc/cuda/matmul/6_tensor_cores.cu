// Matrix product, rung 6: matrix units, and blocks that share a sum.
//
//   units   a warp's instruction multiplies 16 x 16 by 16 x 8 numbers: bfloat16, float16, float32 if TF32 is allowed. A warp
//           has 64 x 32 of the sums, spread over its lanes
//   split   where y has few blocks and the sums many terms, several blocks share the terms, and a second kernel adds up
//
// The sizes alone decide who adds what in which order: the same bits every run, on every GPU.
#include "cuda/ladder.h"
#include "cuda/matmul/batch.cuh"
#include "cuda/matmul/copies.cuh"
#include "cuda/matmul/matrix_units.cuh"
#include "cuda/matmul/packs.cuh"
#include "cuda/matmul/registers.cuh"

namespace scratchnet {
namespace {

// Block (tile, matrix, split). With partial (splits, batch, m, n), sums go there and not to y.
template <class Math, bool A, bool B, class T = typename Math::T>
__global__ void __launch_bounds__(PRODUCT_THREADS, PRODUCT_RESIDENT)
    matmul_product_kernel(Batch batch, int64_t first, Operand<T> a, Operand<T> b, int64_t k, int64_t depth, Result<T> to,
                          acc_t<T>* partial) {
  __shared__ Shared<T, A, B, 2> shared;
  const int64_t m = a.rows, n = b.rows, matrix = first + blockIdx.y, begin = blockIdx.z * depth;
  const unsigned down = ceil_div(m, SIDE<T>);
  const int64_t row0 = (int64_t)(blockIdx.x % down) * SIDE<T>, column0 = (int64_t)(blockIdx.x / down) * SIDE<T>;
  const int rows = m - row0 < SIDE<T> ? m - row0 : SIDE<T>, columns = n - column0 < SIDE<T> ? n - column0 : SIDE<T>;
  k = k - begin < depth ? k - begin : depth;  // of this block
  a.data += batch.a_offset(matrix) + row0 * a.row + begin * a.term;
  b.data += batch.b_offset(matrix) + column0 * b.row + begin * b.term;

  Math math;
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
      const int64_t at = ((blockIdx.z * batch.count + matrix) * m + row0 + row) * n + column0 + c;
      if (!partial) {
        to.put(pack, at, column0 + c, left);
      } else {
#pragma unroll
        for (int e = 0; e < LANES<T>; e++)
          if (e < left) partial[at + e] = pack.lane[e];
      }
    }
  }
}

// The sums of all splits, for a matrix of rows x columns (all matrices of the batch, one below the other).
template <class T>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    matmul_add_splits_kernel(const acc_t<T>* partial, int64_t splits, int64_t rows, int64_t columns, Result<T> to) {
  const Place<T> place;
  const int64_t left = columns - place.column;
  if (left <= 0) return;
  for (int64_t row = place.row; row < rows; row += place.step) {
    const int64_t at = row * columns + place.column;
    Pack<T> sum = {};
    for (int64_t s = 0; s < splits; s++)
#pragma unroll
      for (int e = 0; e < LANES<T>; e++)
        if (e < left) sum.lane[e] += partial[s * rows * columns + at + e];
    to.put(sum, at, place.column, left);
  }
}

constexpr int64_t ENOUGH_BLOCKS = 128, LEAST_DEPTH = 256;

template <class Math, class T = typename Math::T>
void product_with(const Launch& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const Batch batch(size, a, b);
  const int64_t tiles_of_y = ceil_div(size.m, SIDE<T>) * ceil_div(size.n, SIDE<T>), blocks = batch.count * tiles_of_y;
  if (blocks == 0) return;
  Operand<T> x = operand<T>(a.data, size.m, a.row, a.column);
  Operand<T> y = operand<T>(b.data, size.n, b.column, b.row);
  x.wide = aligned(x, size, a.batch), y.wide = aligned(y, size, b.batch);
  const bool x_terms = x.row != 1 || x.term == 1, y_terms = y.row != 1 || y.term == 1;
  auto kernel = x_terms ? matmul_product_kernel<Math, true, false> : matmul_product_kernel<Math, false, false>;
  if (y_terms) kernel = x_terms ? matmul_product_kernel<Math, true, true> : matmul_product_kernel<Math, false, true>;

  const int64_t wanted = std::clamp<int64_t>(size.k / LEAST_DEPTH, 1, ceil_div(ENOUGH_BLOCKS, blocks));
  const int64_t depth = ceil_div(ceil_div(size.k, wanted), DEPTH<T>) * DEPTH<T>;
  const int64_t splits = size.k ? ceil_div(size.k, depth) : 1;
  const int64_t rows = batch.count * size.m;
  acc_t<T>* const partial = splits > 1 ? on.allocate<acc_t<T>>(splits * rows * size.n) : nullptr;
  const Result<T> result(to, size.n);
  for (int64_t first = 0; first < batch.count; first += MOST_MATRICES) {
    const Grid grid = {dim3(blocks_along_x(tiles_of_y), std::min(batch.count - first, MOST_MATRICES), splits),
                       dim3(PRODUCT_THREADS)};
    launch(on, "matmul_product", kernel, grid, batch, first, x, y, size.k, depth, result, partial);
  }
  if (partial)
    launch(on, "matmul_add_splits", matmul_add_splits_kernel<T>, tiles<T>(rows, size.n), partial, splits, rows, size.n, result);
}

template <class T>
void product(const Launch& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  if constexpr (sizeof(T) == 2) product_with<MatrixUnits<Bits16<T>>>(on, size, a, b, to);
  else if (sizeof(T) == 4 && on.tf32()) product_with<MatrixUnits<Tf32>>(on, size, a, b, to);
  else product_with<Plain<T>>(on, size, a, b, to);
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_6) = {
    SN_TYPED(product),
    SN_TYPED(activation_backward),
};

}  // namespace scratchnet
