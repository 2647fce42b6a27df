// Attention, rung 6: backward makes scores and their gradients by blocks, as forward makes its exponentials.
//
//   for each block of keys, for each block of queries:  S again,  D = G V^T,  P = exp(S - lse),  dS = P (D - delta)
//
// Two products of register tiles, then a register of a row at a time; dq, dk and dv grow by one score after another.
#include "cpu/ladder.h"
#include "query.h"
#include "scores_again.h"

namespace scratchnet {
namespace {

template <class T>
void backward(const AttentionBackward& p) {
  using A = acc_t<T>;
  const Gradients<T> sums(p);
  const Scratch<A> delta(p.batches, p.heads, p.queries);
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++) deltas<T>(p, (const T*)p.y, b, h, 0, p.queries, delta.at(p.row(b, h, 0), p.queries));
  ScoresAgain<T> again(p, delta.data());
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++)
      for (int64_t j = 0; j < key_blocks(p); j++) {
        again.hold(b, p.group(h), j);
        for (int64_t i = 0; i < again.blocks.count; i++) {
          const Block block = block_of(p, again.blocks, i, j);
          if (!block.visible()) continue;
          again.template probabilities<false>(b, h, block);
          for (int64_t r = 0; r < block.rows; r++) {
            const Query<T> query(p, b, h, block.i + r);
            const Span seen = block.keys_of(r, 1);
            for (int64_t n = seen.begin; n < seen.end; n++)
              sums.add(query, block.j + n, again.s[r * KEYS + n], again.d[r * KEYS + n]);
          }
        }
      }
  for_each_query(p, [&](int64_t b, int64_t h, int64_t i) {
    const Query<T> query(p, b, h, i);
    sums.add_sink(query, exp(query.sink() - p.lse[p.row(b, h, i)]), delta[p.row(b, h, i)]);
  });
  sums.round();
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_6) = {SN_FROM(attention_kernels(5), forward), SN_TYPED(backward)};

}  // namespace scratchnet
