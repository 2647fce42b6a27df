// Matrix product, rung 6: both operands packed for every level of cache (Goto and BLIS).
//
//   panels    a and b are copied ("packed") into the order in which the tile reads them: any strides, no cache line wasted
//             (growing.h); the first tile that reads a panel of b packs it, the tiles below fetch the next one
//   blocks    DEPTH terms of the sums at a time: a panel of a stays in L1, a block of a and a panel of b in L2, all of b in L3.
//             Rung 4 packed b again for every block of rows
//   sums      grow in y itself; those of CHAIN blocks in a place of their own, which is then added to y: a long k does not add
//             up in one chain (rectangle.h)
//   bfloat16  in pairs, where the CPU multiplies and adds two at a time
//
// https://www.cs.utexas.edu/~flame/pubs/GotoTOMS_revision.pdf, https://github.com/flame/blis
#include "cpu/ladder.h"
#include "growing.h"

namespace scratchnet {
namespace {

// The loops of BLIS: blocks of terms, for which b is packed; blocks of rows, for which a is packed; tiles.
template <class T, int TERMS>
void by_blocks(const Rectangle<T>& r) {
  Growing<T> sums(r, !r.DIRECT && r.blocks.depth >= r.size.k);
  do {  // once even for k = 0, which makes zeros
    auto* const b = columns_of_b<TERMS>(sums, 0);
    for (int64_t i = 0; i < r.rows; i += r.blocks.height) {
      const int64_t height = min(r.blocks.height, r.rows - i);
      packed_tiles<TERMS>(sums, rows_of_a<TERMS>(sums, i, height), i, height, 0, b);
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

SN_DEFINE_RUNG(MatmulKernels, matmul_6) = {SN_TYPED(product), SN_FROM(matmul_kernels(5), activation_backward)};

}  // namespace scratchnet
