// Attention, rung 4: a query's row of a block becomes exponentials a register at a time.
//
//   forward   for each row of a block: its largest score first, then all of exp(s - m) and their sum: o is multiplied by
//             exp(m - new m) at most once for the whole row
//
// Masks, the softcap and dropout work on rows as well, in the type of the numbers.
#include "cpu/ladder.h"
#include "products.h"
#include "rows.h"

namespace scratchnet {
namespace {

template <class T>
void forward(const AttentionForward& to) {
  using A = acc_t<T>;
  const Products<T> products(to);
  const Scratch<double> os(QUERIES, to.value_size);
  A ms[QUERIES], ls[QUERIES];
  for (int64_t b = 0; b < to.batches; b++)
    for (int64_t h = 0; h < to.heads; h++)
      for (int64_t first = 0; first < products.blocks.count; first++) {
        const Block all = block_of(to, products.blocks, first, 0);
        const double sink = Query<T>(to, b, h, all.i).sink();
        for (int64_t r = 0; r < all.rows; r++) ms[r] = A(sink), ls[r] = sink == -INFINITY ? 0 : 1;
        fill_zeros(os);
        products.for_each_block(b, h, first, [&](const Block& block) {
          for (int64_t r = 0; r < block.rows; r++) {
            const Query<T> query(to, b, h, block.i + r);
            const Span seen = block.keys_of(r, 1);
            A* const p = products.s.at(r * KEYS, KEYS);
            double* const o = os.at(r * to.value_size, to.value_size);
            const double shrink = exponentials(Row<T>(to, b, h, block, r), p, ms[r], ls[r]);
            for (int64_t e = 0; e < to.value_size; e++) o[e] *= shrink;
            for (int64_t n = seen.begin, j = block.j + n; n < seen.end; n++, j++)
              for (int64_t e = 0; e < to.value_size; e++) o[e] += p[n] * query.v(j, e);
          }
        });
        for (int64_t r = 0, i = all.i; r < all.rows; r++, i++) {
          const double m = ms[r], l = ls[r], *const o = os.at(r * to.value_size, to.value_size);
          to.lse[to.row(b, h, i)] = l == 0 ? INFINITY : m + log(l);
          T* const y = (T*)to.y + ((b * to.queries + i) * to.heads + h) * to.value_size;
          for (int64_t e = 0; e < to.value_size; e++) store1(y + e, acc_t<T>(l == 0 ? 0 : o[e] / l));
        }
      }
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_4) = {SN_TYPED(forward), SN_FROM(attention_kernels(3), backward)};

}  // namespace scratchnet
