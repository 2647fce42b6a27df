// Matrix product, rung 3: block by block, each small enough to stay in the caches while it is used again and again.
//
//   for every block of y (ROWS, COLUMNS), whose sums stay in L1 or L2
//     for every block of b (DEPTH, COLUMNS), copied to where it stays too: each of its numbers serves ROWS rows
//       the loops of rung 2
//
// b is read from memory m / ROWS times instead of m times, a n / COLUMNS times. In the copy rows lie in order whatever they do
// in b, and none drives out another: numbers of b that are a power of two apart would share a place in the cache. The sums are
// cut into chains of DEPTH additions, short enough for the type of the numbers.
// https://dl.acm.org/doi/10.1145/106972.106981
#include "cpu/ladder.h"
#include "epilogue_scalar.h"
#include "ops/matmul.h"
#include "ops/numbers.h"

namespace scratchnet {
namespace {

constexpr int64_t ROWS = 64, COLUMNS = 128, DEPTH = 64;

template <class A>
using Block = A[DEPTH][COLUMNS];

// block = the piece of b that begins at b0, read along its rows or its columns, whichever lie in order
template <class T>
void copy(const Matrix& b, const T* b0, int64_t depth, int64_t columns, Block<acc_t<T>>& block) {
  if (b.column == 1)
    for (int64_t p = 0; p < depth; p++)
      for (int64_t j = 0; j < columns; j++) block[p][j] = load1(b0 + p * b.row + j);
  else
    for (int64_t j = 0; j < columns; j++)
      for (int64_t p = 0; p < depth; p++) block[p][j] = load1(b0 + p * b.row + j * b.column);
}

// sums (columns) += row i of a times the block
template <class T>
void add_products(const T* a_i, int64_t step, const Block<acc_t<T>>& block, int64_t depth, int64_t columns, acc_t<T>* sums) {
  acc_t<T> chain[COLUMNS] = {};
  for (int64_t p = 0; p < depth; p++) {
    const acc_t<T> a_ip = load1(a_i + p * step);
    for (int64_t j = 0; j < columns; j++) chain[j] += a_ip * block[p][j];
  }
  for (int64_t j = 0; j < columns; j++) sums[j] += chain[j];
}

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  acc_t<T> sums[ROWS][COLUMNS];
  Block<acc_t<T>> block;
  for (int64_t index = 0; index < batches(size); index++) {
    const T* a0 = (const T*)a.data + batch_offset(size, a, index);
    const T* b0 = (const T*)b.data + batch_offset(size, b, index);
    for (int64_t i0 = 0; i0 < size.m; i0 += ROWS)
      for (int64_t j0 = 0; j0 < size.n; j0 += COLUMNS) {
        const int64_t rows = min(ROWS, size.m - i0), columns = min(COLUMNS, size.n - j0);
        const auto at = [&](int64_t i, int64_t j) { return (index * size.m + i0 + i) * size.n + j0 + j; };
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) sums[i][j] = first<T>(to, at(i, j));
        for (int64_t p = 0; p < size.k; p += DEPTH) {
          const int64_t depth = min(DEPTH, size.k - p);
          copy(b, b0 + p * b.row + j0 * b.column, depth, columns, block);
          for (int64_t i = 0; i < rows; i++)
            add_products(a0 + (i0 + i) * a.row + p * a.column, a.column, block, depth, columns, sums[i]);
        }
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) finish<T>(sums[i][j], to, at(i, j), j0 + j);
      }
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_3) = {SN_TYPED(product), SN_FROM(matmul_kernels(2), activation_backward)};

}  // namespace scratchnet
