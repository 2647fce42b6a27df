// Matrix product, rung 4: the sums of a tile of ROWS x VECTORS registers stay in these until a whole chain has been added.
//
// In rung 3 every multiply-add loads a sum and a number of b and stores the sum again. Here a vector of b that is loaded once
// serves ROWS rows, and a number of a serves VECTORS vectors: 24 multiply-adds for 10 loads with AVX-512. The copy of b's block
// lies in the order of the registers ("packed"), with zeros behind its last column.
#include "cpu/ladder.h"
#include "epilogue_scalar.h"
#include "ops/matmul.h"
#include "pack.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 192;  // that share a packed block of b

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  using A = acc_t<T>;
  constexpr int64_t WIDTH = COLUMNS<A>;
  A sums[BLOCK_ROWS * WIDTH], packed[DEPTH * WIDTH];
  for (int64_t index = 0; index < batches(size); index++) {
    const T* a0 = (const T*)a.data + batch_offset(size, a, index);
    const T* b0 = (const T*)b.data + batch_offset(size, b, index);
    for (int64_t i0 = 0; i0 < size.m; i0 += BLOCK_ROWS)
      for (int64_t j0 = 0; j0 < size.n; j0 += WIDTH) {
        const int64_t rows = min(BLOCK_ROWS, size.m - i0), columns = min(WIDTH, size.n - j0);
        const auto at = [&](int64_t i, int64_t j) { return (index * size.m + i0 + i) * size.n + j0 + j; };
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) sums[i * WIDTH + j] = first<T>(to, at(i, j));
        for (int64_t p0 = 0; p0 < size.k; p0 += DEPTH) {
          const int64_t depth = min(DEPTH, size.k - p0);
          pack<WIDTH>(b0 + p0 * b.row + j0 * b.column, b.column, b.row, columns, depth, packed);
          for (int64_t i = 0; i < rows; i += ROWS) {
            const T* const a_i = a0 + (i0 + i) * a.row + p0 * a.column;
            const auto numbers = [&](int64_t p, int r) SN_LAMBDA_INLINE { return load1(a_i + r * a.row + p * a.column); };
            fitting_tile<A>(min(ROWS, rows - i), depth, numbers, packed_columns(packed), sums + i * WIDTH, WIDTH, columns,
                            true);
          }
        }
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) finish<T>(sums[i * WIDTH + j], to, at(i, j), j0 + j);
      }
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_4) = {SN_TYPED(product), SN_FROM(matmul_kernels(3), activation_backward)};

}  // namespace scratchnet
