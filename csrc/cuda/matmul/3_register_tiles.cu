// Matrix product, rung 3: a number that a thread reads from shared memory serves a row or a column of its own sums.
//
// A block has 128 x 128 of y (64 x 64 of float64), a thread 8 x 8 (4 x 4), in registers. For each term it reads 8 numbers of a
// and 8 of b and multiplies 64 times, where rung 2 reads two for one product; and global memory is read an eighth as often.
// A thread's columns are neighbours by packs, so that it writes y 128 bits at a time.
#include "cuda/matmul/batch.cuh"
#include "cuda/matmul/packs.cuh"

namespace scratchnet {
namespace {

constexpr int SQUARE = 16, PRODUCT_THREADS = SQUARE * SQUARE;  // of threads
constexpr int DEPTH = 16;                                      // terms of the sums in shared memory
template <class T>
constexpr int OWN = sizeof(T) == 8 ? 4 : 8;  // a thread has OWN x OWN of y
template <class T>
constexpr int SIDE = SQUARE * OWN<T>;  // and a block SIDE x SIDE
template <class T>
using Tile = acc_t<T>[DEPTH][SIDE<T> + 1];  // + 1: terms of one row are in different banks

// Which row (or column) of the block is number i of a thread's.
template <class T>
__device__ int place(int thread, int i) {
  return (i / LANES<T> * SQUARE + thread) * LANES<T> + i % LANES<T>;
}

// Copies rows of a, or columns of b; what does not exist becomes 0. Threads side by side read side by side.
template <class T>
__device__ void fill(Tile<T>& tile, const T* from, int64_t row_step, int64_t term_step, int64_t rows, int64_t terms) {
  for (int i = threadIdx.x; i < DEPTH * SIDE<T>; i += PRODUCT_THREADS) {
    const int row = row_step == 1 ? i % SIDE<T> : i / DEPTH, term = row_step == 1 ? i / SIDE<T> : i % DEPTH;
    tile[term][row] = row < rows && term < terms ? load1(from + row * row_step + term * term_step) : acc_t<T>(0);
  }
}

// Block (tile of y, matrix).
template <class T>
__global__ void __launch_bounds__(PRODUCT_THREADS)
    matmul_product_kernel(Batch batch, int64_t first, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Result<T> to) {
  __shared__ Tile<T> a_tile, b_tile;
  const int64_t index = first + blockIdx.y;
  const unsigned down = ceil_div(m, SIDE<T>);
  const int64_t row0 = (int64_t)(blockIdx.x % down) * SIDE<T>, column0 = (int64_t)(blockIdx.x / down) * SIDE<T>;
  const int x = threadIdx.x % SQUARE, y = threadIdx.x / SQUARE;
  const T* a_0 = (const T*)a.data + batch.a_offset(index) + row0 * a.row;
  const T* b_0 = (const T*)b.data + batch.b_offset(index) + column0 * b.column;
  acc_t<T> sum[OWN<T>][OWN<T>] = {};
  for (int64_t done = 0; done < k; done += DEPTH) {
    fill(a_tile, a_0 + done * a.column, a.row, a.column, m - row0, k - done);
    fill(b_tile, b_0 + done * b.row, b.column, b.row, n - column0, k - done);
    __syncthreads();  // the tiles are full
    for (int p = 0; p < DEPTH; p++) {
      acc_t<T> a_p[OWN<T>], b_p[OWN<T>];
#pragma unroll
      for (int i = 0; i < OWN<T>; i++) a_p[i] = a_tile[p][place<T>(y, i)], b_p[i] = b_tile[p][place<T>(x, i)];
#pragma unroll
      for (int i = 0; i < OWN<T>; i++)
#pragma unroll
        for (int j = 0; j < OWN<T>; j++) sum[i][j] += a_p[i] * b_p[j];
    }
    __syncthreads();  // every thread is done with them
  }
#pragma unroll
  for (int i = 0; i < OWN<T>; i++)
#pragma unroll
    for (int j = 0; j < OWN<T>; j += LANES<T>) {
      const int64_t row = row0 + place<T>(y, i), column = column0 + place<T>(x, j);
      if (row >= m || column >= n) continue;
      Pack<T> pack;
#pragma unroll
      for (int e = 0; e < LANES<T>; e++) pack.lane[e] = sum[i][j + e];
      to.put(pack, (index * m + row) * n + column, column, n - column);
    }
}

template <class T>
void product(const Launch& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const Batch batch(size, a, b);
  const unsigned blocks = blocks_along_x(ceil_div(size.m, SIDE<T>) * ceil_div(size.n, SIDE<T>));
  const Result<T> result(to, size.n);
  for (int64_t first = 0; first < batch.count; first += MOST_MATRICES) {
    const Grid grid = {dim3(blocks, std::min(batch.count - first, MOST_MATRICES)), dim3(PRODUCT_THREADS)};
    launch(on, "matmul_product", matmul_product_kernel<T>, grid, batch, first, size.m, size.n, size.k, a, b, result);
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_3) = {
    SN_TYPED(product),
    SN_TYPED(activation_backward),
};

}  // namespace scratchnet
