// Matrix product, rung 7: both operands packed for every level of cache (Goto and BLIS).
//
//   panels    a is packed too, into panels of ROWS rows: any strides, no cache line wasted
//   blocks    DEPTH terms of the sums at a time: a panel of a stays in L1, a block of a and a panel of b in L2, all of b in L3.
//             Rung 6 packs b again for every block of rows
//   sums      grow in y itself (growing.h); those of CHAIN blocks in a place of their own, which is then added to y: a long k
//             does not add up in one chain (rectangle.h)
//   bfloat16  in pairs, where the CPU multiplies and adds two at a time
//
// On one thread with AVX-512, 384^3 in bfloat16 is 1.6 to 1.9 times as fast as by rung 6. float32 is not, if a lies in order:
// there the copy of a costs what it saves, and rung 8 spares it.
//
// https://www.cs.utexas.edu/~flame/pubs/GotoTOMS_revision.pdf, https://github.com/flame/blis
#include "cpu/ladder.h"
#include "growing.h"
#include "pack.h"

namespace scratchnet {
namespace {

// Rows [first, first + height) of a and the terms of this block, for the tiles: f(i) gives the numbers of rows i, i + 1, ...
template <int TERMS, class T>
SN_INLINE auto rows_of_a(const Growing<T>& sums, int64_t first, int64_t height) {
  using A = acc_t<T>;
  const Matrix& a = sums.r.a;
  const int64_t words = ceil_div(sums.depth, TERMS);
  A* const packed = sums.r.packed.a.at(0, round_up(height, ROWS) * words);
  pack<ROWS, TERMS>(sums.r.a_at(first, sums.p), a.row, a.column, height, sums.depth, packed);
  return [=](int64_t i) SN_LAMBDA_INLINE { return packed_rows(packed + i * words); };
}

// The columns of b and the terms of this block, packed.
template <int TERMS, class T>
acc_t<T>* columns_of_b(const Growing<T>& sums) {
  using A = acc_t<T>;
  const Rectangle<T>& r = sums.r;
  A* const packed = r.packed.b.at(0, round_up(r.columns, COLUMNS<A>) * ceil_div(sums.depth, TERMS));
  pack<COLUMNS<A>, TERMS>(r.b_at(sums.p, 0), r.b.column, r.b.row, r.columns, sums.depth, packed);
  return packed;
}

// The tiles of rows [i0, i0 + height): down the columns, one panel of b after another.
template <int TERMS, class T, class Rows>
SN_INLINE void packed_tiles(const Growing<T>& sums, const Rows& a, int64_t i0, int64_t height, const acc_t<T>* b) {
  using A = acc_t<T>;
  const int64_t columns = sums.r.columns, words = ceil_div(sums.depth, TERMS);
  for (int64_t j = 0; j < columns; j += COLUMNS<A>)
    for (int64_t i = 0; i < height; i += ROWS) {
      const int64_t tall = min(ROWS, height - i), wide = min(COLUMNS<A>, columns - j);
      const auto panel = packed_columns(b + j * words);
      fitting_tile<A, VECTORS, TERMS>(tall, words, a(i), panel, sums.tile(i0 + i, j), sums.c_row, wide, sums.add());
      sums.done(i0 + i, j, tall, wide);
    }
}

// The loops of BLIS: blocks of terms, for which b is packed; blocks of rows, for which a is packed; tiles.
template <class T, int TERMS>
void by_blocks(const Rectangle<T>& r) {
  Growing<T> sums(r, !r.DIRECT && r.blocks.depth >= r.size.k);
  do {  // once even for k = 0, which makes zeros
    auto* const b = columns_of_b<TERMS>(sums);
    for (int64_t i = 0; i < r.rows; i += r.blocks.height) {
      const int64_t height = min(r.blocks.height, r.rows - i);
      packed_tiles<TERMS>(sums, rows_of_a<TERMS>(sums, i, height), i, height, b);
    }
  } while (sums.next());
}

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, bf16>)
    if (size.m > FEW_ROWS && dot_bf16())
      return for_each_rectangle<T, 2>(size, a, b, to, [](const Rectangle<T>& r) { by_blocks<T, 2>(r); });
#endif
  for_each_rectangle<T, 1>(size, a, b, to, [](const Rectangle<T>& r) { by_blocks<T, 1>(r); });
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_7) = {SN_TYPED(product), SN_FROM(matmul_kernels(6), activation_backward)};

}  // namespace scratchnet
