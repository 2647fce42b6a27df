// Matrix product, rung 3: block by block, each small enough to stay in the caches while it is used again and again.
//
//   for every block of y (ROWS, COLUMNS), whose sums stay in L1 or L2
//     for every block of b (DEPTH, COLUMNS), which stays there too: each of its numbers serves ROWS rows
//       the loops of rung 2
//
// b comes from memory m / ROWS times and no longer m times, a n / COLUMNS times. Whole cache lines of a transposed block are
// used before they are gone, too. The sums are cut into chains of DEPTH additions, short enough for the type of the numbers.
#include "epilogue1.h"
#include "matmul.h"

namespace scratchnet {
namespace {

constexpr int64_t ROWS = 64, COLUMNS = 128, DEPTH = 64;

inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

// sums (ROWS, COLUMNS) += a b for `rows` rows and `columns` columns
template <class T>
void add_products(const Matrix& a, const T* a0, const Matrix& b, const T* b0, int64_t rows, int64_t columns, int64_t depth,
                  acc_t<T> (*sums)[COLUMNS]) {
  for (int64_t i = 0; i < rows; i++) {
    acc_t<T> chain[COLUMNS] = {};
    for (int64_t p = 0; p < depth; p++) {
      const acc_t<T> a_ip = load1(a0 + i * a.row + p * a.column);
      const T* b_p = b0 + p * b.row;
      if (b.column == 1)
        for (int64_t j = 0; j < columns; j++) chain[j] += a_ip * load1(b_p + j);
      else
        for (int64_t j = 0; j < columns; j++) chain[j] += a_ip * load1(b_p + j * b.column);
    }
    for (int64_t j = 0; j < columns; j++) sums[i][j] += chain[j];
  }
}

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  acc_t<T> sums[ROWS][COLUMNS];
  for (int64_t index = 0; index < batches(size); index++) {
    const T* a0 = (const T*)a.data + batch_offset(size, a, index);
    const T* b0 = (const T*)b.data + batch_offset(size, b, index);
    for (int64_t i0 = 0; i0 < size.m; i0 += ROWS)
      for (int64_t j0 = 0; j0 < size.n; j0 += COLUMNS) {
        const int64_t rows = min(ROWS, size.m - i0), columns = min(COLUMNS, size.n - j0);
        const auto at = [&](int64_t i, int64_t j) { return (index * size.m + i0 + i) * size.n + j0 + j; };
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) sums[i][j] = first<T>(to, at(i, j));
        for (int64_t p = 0; p < size.k; p += DEPTH)
          add_products(a, a0 + i0 * a.row + p * a.column, b, b0 + p * b.row + j0 * b.column, rows, columns,
                       min(DEPTH, size.k - p), sums);
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) finish<T>(sums[i][j], to, at(i, j), j0 + j);
      }
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_3) = {
    [](DType dtype, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
      SN_FLOATS(dtype, product<T>(size, a, b, to));
    },
    SN_FROM(matmul_kernels(2), activation_backward),
};

}  // namespace scratchnet
