// Matrix product, rung 7: with few rows, b is read where it lies.
//
// Packing a panel of b costs as much as reading it. With 240 rows, 40 tiles share that cost; with 12 or fewer, as in a model
// that answers word by word, one or two do, and reading long pieces of b's rows is all there is to do.
#include "cpu/ladder.h"
#include "growing.h"

namespace scratchnet {
namespace {

// Few rows: whole panels of b are read where they lie, for copying would not pay. One or two rows take three panels at a time:
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
      SN_FLOATS(on.dtype, return for_each_rectangle<T, 1>(size, a, b, to, few_rows<T>));
    },
    SN_FROM(matmul_kernels(6), activation_backward),
};

}  // namespace scratchnet
