// Matrix product, rung 7: with few rows, b is read where it lies.
//
// Packing a panel of b costs as much as reading it. With 240 rows, 40 tiles share that cost; with 12 or fewer, as in a model
// that answers word by word, one or two do, and reading long pieces of b's rows is all there is to do. With one row b is read
// in the order in which it lies.
#include "cpu/ladder.h"
#include "growing.h"

namespace scratchnet {
namespace {

// y (columns) = [y +] the sum of R rows of b, each times its number of a.
template <class T, int R>
void add_rows(int64_t rows, int64_t columns, const T* a, int64_t a_column, const T* b, int64_t b_row, acc_t<T>* y, bool add) {
  if constexpr (R > 1)
    if (rows < R) return add_rows<T, R - 1>(rows, columns, a, a_column, b, b_row, y, add);
  map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
    auto sum = load1(a) * get(b + j);
#pragma GCC unroll 8
    for (int r = 1; r < R; r++) sum += load1(a + r * a_column) * get(b + r * b_row + j);
    put(y + j, add ? get(y + j) + sum : sum);
  });
}

// One row: eight rows of b at a time are read from end to end, the CPU fetching ahead, and y waits in L1. Strips of b as wide
// as the registers, each a page from the last one, took 1.4 times as long with AVX2.
template <class T>
void one_row(const Rectangle<T>& r) {
  constexpr int TOGETHER = 8;
  Growing<T> sums(r, false);
  do {
    for (int64_t p = 0; p < sums.depth; p += TOGETHER)
      add_rows<T, TOGETHER>(sums.depth - p, r.columns, r.a_at(0, sums.p + p), r.a.column, r.b_at(sums.p + p, 0), r.b.row,
                            sums.tile(0, 0), p > 0 || sums.add());
    sums.done(0, 0, 1, r.columns);
  } while (sums.next());
}

// Few rows: whole panels of b are read where they lie, for copying would not pay. Two rows take three panels at a time:
// reading long pieces of b's rows is all that they do.
template <class T>
void few_rows(const Rectangle<T>& r) {
  using A = acc_t<T>;
  constexpr int WIDE = 3;
  const int64_t whole = r.columns / COLUMNS<A> * COLUMNS<A>;
  Growing<T> sums(r, false);
  do {
    // Before the tiles: packing the rest of a row of b fetches what they read of it.
    acc_t<T>* const rest = whole < r.columns ? columns_of_b<1>(sums, whole) : nullptr;
    const auto a = rows_of_a<1>(sums, 0, r.rows);
    const T* const b = r.b_at(sums.p, 0);
    for (int64_t j = 0, width; j < whole; j += width) {
      const auto registers = columns_in_place(b + j, r.b.row);
      const bool wide = r.rows <= 2 && whole - j >= WIDE * COLUMNS<A>;
      width = wide ? WIDE * COLUMNS<A> : COLUMNS<A>;
      for (int64_t i = 0; i < r.rows; i += ROWS) {
        const int64_t height = min(ROWS, r.rows - i);
        if (wide)
          tile_of_rows<A, 2, WIDE * VECTORS>(height, sums.depth, a(i), registers, sums.tile(i, j), sums.c_row, width,
                                             sums.add());
        else
          tile_of_rows<A, ROWS, VECTORS>(height, sums.depth, a(i), registers, sums.tile(i, j), sums.c_row, width, sums.add());
        sums.done(i, j, height, width);
      }
    }
    if (rest) packed_tiles<1>(sums, a, 0, r.rows, whole, rest);
  } while (sums.next());
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_7) = {
    [](const On& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
      if (size.m > FEW_ROWS || b.column != 1) return matmul_kernels(6).product(on, size, a, b, to);
      const bool one = size.m == 1 && size.k > 0;
      SN_FLOATS(on.dtype, return for_each_rectangle<T, 1>(size, a, b, to, one ? one_row<T> : few_rows<T>));
    },
    SN_FROM(matmul_kernels(6), activation_backward),
};

}  // namespace scratchnet
