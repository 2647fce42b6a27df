// Matrix product, rung 4: the sums of a tile of ROWS x VECTORS registers stay in these until a whole chain has been added.
//
// In rung 3 every multiply-add loads a sum and a number of b and stores the sum again. Here a vector of b that is loaded once
// serves ROWS rows, and a number of a serves VECTORS vectors: 24 multiply-adds for 10 loads with AVX-512. The block of b is as
// wide as the tile, so that the copy lies in the order of the registers; what follows its last column is never stored.
#include "cpu/ladder.h"
#include "epilogue_scalar.h"
#include "ops/matmul.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 192;  // that share a copied block of b

template <class A>
using Block = A[DEPTH][COLUMNS<A>];

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

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  using A = acc_t<T>;
  constexpr int64_t WIDTH = COLUMNS<A>;
  A sums[BLOCK_ROWS][WIDTH];
  Block<A> block = {};
  for (int64_t index = 0; index < batches(size); index++) {
    const T* a0 = (const T*)a.data + batch_offset(size, a, index);
    const T* b0 = (const T*)b.data + batch_offset(size, b, index);
    for (int64_t i0 = 0; i0 < size.m; i0 += BLOCK_ROWS)
      for (int64_t j0 = 0; j0 < size.n; j0 += WIDTH) {
        const int64_t rows = min(BLOCK_ROWS, size.m - i0), columns = min(WIDTH, size.n - j0);
        const auto at = [&](int64_t i, int64_t j) { return (index * size.m + i0 + i) * size.n + j0 + j; };
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) sums[i][j] = first<T>(to, at(i, j));
        for (int64_t p = 0; p < size.k; p += DEPTH) {
          const int64_t depth = min(DEPTH, size.k - p);
          copy(b, b0 + p * b.row + j0 * b.column, depth, columns, block);
          for (int64_t i = 0; i < rows; i += ROWS) {
            const T* const a_i = a0 + (i0 + i) * a.row + p * a.column;
            const auto numbers = [&](int64_t t, int r) SN_LAMBDA_INLINE { return load1(a_i + r * a.row + t * a.column); };
            fitting_tile<A>(min(ROWS, rows - i), depth, numbers, packed_columns(*block), sums[i], WIDTH, columns, true);
          }
        }
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) finish<T>(sums[i][j], to, at(i, j), j0 + j);
      }
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_4) = {SN_TYPED(product), SN_FROM(matmul_kernels(3), activation_backward)};

}  // namespace scratchnet
