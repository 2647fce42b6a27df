// Attention, rung 3: the scores of a block of queries and keys are a product of matrices, made by the register tiles of matmul.
//
//   for each block of queries, for each block of keys:  S = Q K^T, in the type of the numbers;  then rung 2 for each query
//
// Keys are packed once for a block of queries, and a block of scores stays in the L2 cache. Blocks and tiles that no query
// sees, above the diagonal or outside the window, are left out. Backward makes the same scores: of sums in another order, where
// scores are large, the probabilities exp(s - lse) would not add up to 1. https://arxiv.org/abs/2205.14135
#include "cpu/ladder.h"
#include "products.h"

namespace scratchnet {
namespace {

template <class T>
void forward(const AttentionForward& to) {
  const Products<T> products(to);
  const Scratch<double> ms(QUERIES), ls(QUERIES), os(QUERIES, to.value_size);
  for (int64_t b = 0; b < to.batches; b++)
    for (int64_t h = 0; h < to.heads; h++)
      for (int64_t first = 0; first < products.blocks.count; first++) {
        const Block all = block_of(to, products.blocks, first, 0);
        const double sink = Query<T>(to, b, h, all.i).sink();
        for (int64_t r = 0; r < all.rows; r++) ms[r] = sink, ls[r] = sink == -INFINITY ? 0 : 1;
        fill_zeros(os);
        products.for_each_block(b, h, first, [&](const Block& block) {
          for (int64_t r = 0; r < block.rows; r++) {
            const Query<T> query(to, b, h, block.i + r);
            const Span seen = block.keys_of(r, 1);
            double &m = ms[r], &l = ls[r], *const o = os.at(r * to.value_size, to.value_size);
            for (int64_t n = seen.begin, j = block.j + n; n < seen.end; n++, j++) {
              const double s = query.score(j, products.s[r * KEYS + n]);
              if (s > m || isnan(s)) {
                const double shrink = m == -INFINITY ? 0 : exp(m - s);
                l *= shrink;
                for (int64_t e = 0; e < to.value_size; e++) o[e] *= shrink;
                m = s;
              }
              const double p = m == -INFINITY ? 0 : exp(s - m);
              l += p;
              for (int64_t e = 0; e < to.value_size; e++) o[e] += query.kept(j) * p * query.v(j, e);
            }
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

template <class T>
void backward(const AttentionBackward& from) {
  const Gradients<T> gradients(from);
  const Products<T> products(from);
  const Scratch<double> deltas(from.batches, from.heads, from.queries);
  for_each_query(from, [&](int64_t b, int64_t h, int64_t i) {
    const Query<T> query(from, b, h, i);
    const double lse = from.lse[from.row(b, h, i)];
    const T* const y = (const T*)from.y + ((b * from.queries + i) * from.heads + h) * from.value_size;
    const double delta = query.g_dot(from.grad, y);
    gradients.add_sink(query, exp(query.sink() - lse), delta);
    deltas[from.row(b, h, i)] = delta;
  });
  for (int64_t b = 0; b < from.batches; b++)
    for (int64_t h = 0; h < from.heads; h++)
      for (int64_t first = 0; first < products.blocks.count; first++)
        products.for_each_block(b, h, first, [&](const Block& block) {
          for (int64_t r = 0; r < block.rows; r++) {
            const Query<T> query(from, b, h, block.i + r);
            const Span seen = block.keys_of(r, 1);
            const int64_t row = from.row(b, h, query.i);
            for (int64_t n = seen.begin, j = block.j + n; n < seen.end; n++, j++) {
              const double dp = query.kept(j) * query.g_dot_v(from.grad, j), s = query.score(j, products.s[r * KEYS + n]);
              gradients.add(query, j, exp(s - from.lse[row]), dp, deltas[row]);
            }
          }
        });
  gradients.round();
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_3) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
