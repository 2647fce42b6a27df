// Matrix product, rung 6: b is copied in registers, W columns or a square of numbers at a time ("packed", pack.h).
//
// Rung 5 copies number by number. Where the columns of b lie in order, as in g b^T, each goes to another cache line than the
// one before; and 16-bit numbers are converted one by one. Here a register is loaded along the lines of b, squares of registers
// are transposed, and conversion comes with the load.
#include "cpu/ladder.h"
#include "epilogue.h"
#include "pack.h"
#include "split.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 192;  // that share a packed block of b

template <class T>
void multiply(const Part<T>& r) {
  using A = acc_t<T>;
  constexpr int64_t WIDTH = COLUMNS<A>;
  A sums[BLOCK_ROWS][WIDTH];
  A packed[DEPTH * WIDTH];
  for (int64_t i0 = 0; i0 < r.rows; i0 += BLOCK_ROWS)
    for (int64_t j0 = 0; j0 < r.columns; j0 += WIDTH) {
      const int64_t rows = min(BLOCK_ROWS, r.rows - i0), columns = min(WIDTH, r.columns - j0);
      for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
          sums[i][j] = r.to.accumulate ? load1((const T*)r.to.y + r.y_at(i0 + i, j0 + j)) : 0;
      for (int64_t p = 0; p < r.size.k; p += DEPTH) {
        const int64_t depth = min(DEPTH, r.size.k - p);
        pack<WIDTH>(r.b_at(p, j0), r.b.column, r.b.row, columns, depth, packed);
        for (int64_t i = 0; i < rows; i += ROWS) {
          const T* const a_i = r.a_at(i0 + i, p);
          const auto numbers = [&](int64_t t, int row) SN_LAMBDA_INLINE { return load1(a_i + row * r.a.row + t * r.a.column); };
          fitting_tile<A>(min(ROWS, rows - i), depth, numbers, packed_columns(packed), sums[i], WIDTH, columns, true);
        }
      }
      finish<T>(rows, columns, *sums, WIDTH, r.to, r.y_at(i0, j0), r.size.n, r.j0 + j0);
    }
}

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  using A = acc_t<T>;
  const int64_t count = batches(size);
  if (count * size.m * size.n == 0) return;
  Grid grid = split(size, count, sn_num_threads());
  const int64_t rows = round_up(ceil_div(size.m, grid.down), ROWS);
  const int64_t columns = round_up(ceil_div(size.n, grid.across), COLUMNS<A>);
  grid = {ceil_div(size.m, rows), ceil_div(size.n, columns)};
  const int64_t grain = max(1, int64_t(THREAD_WORK / work(rows, columns, size.k)));
  parallel_for(0, count * grid.down * grid.across, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / grid.across % grid.down * rows, j = t % grid.across * columns;
      const Part<T> part = {size, a, b, to, t / grid.across / grid.down, i, min(rows, size.m - i), j, min(columns, size.n - j)};
      multiply(part);
    }
  });
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_6) = {SN_TYPED(product), SN_FROM(matmul_kernels(5), activation_backward)};

}  // namespace scratchnet
