// Attention, rung 3: blocks of queries and keys. Scores are made, and used, by the register tiles of the matrix product;
// between two products a block of them stays in the L2 cache, and exponentials are computed a register at a time.
//
//   forward   for each block of queries, for each block of keys:  S = Q K^T,  P = exp(S - m),  O = shrink O + P V
//   backward  for each block of keys, for each block of queries:  S and P again,  D = G V^T,  dS = P (D - delta),
//             dV += P^T G,  dK += dS^T Q,  dQ += dS K
//
// 4 and 10 operations per number of a query and key; blocks that no query sees, above the diagonal or outside the window, are
// left out. https://arxiv.org/abs/2205.14135, https://arxiv.org/abs/2307.08691
#include "blocks.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T, class Y = T>
void forward(const AttentionForward& p) {
  Forward<T, Y> attend(p);
  PackedKeys<T> packed(p);
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++)
      for (int64_t i = 0; i < attend.blocks.count; i++)
        attend(b, h, i, [&](int64_t j) -> const PackedKeys<T>& { return packed.hold(p, b, p.group(h), j), packed; });
}

template <class T>
void backward(const AttentionBackward& p) {
  using A = acc_t<T>;
  const FlushToZero flush;
  const Scratch<A> delta(p.batches, p.heads, p.queries);
  const Place<T> dq(p.dq, 0, product_of(p.batches, p.heads, p.queries, p.size));
  const Unrounded<T> again(p);
  if (again.NEEDED) forward<T, A>(again.forward(p));
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++) deltas<T>(p, again.of(p), b, h, 0, p.queries, delta.at(p.row(b, h, 0), p.queries));
  const Backward<T> work(p, delta.data());
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t g = 0; g < p.groups; g++)
      for (int64_t j = 0; j < key_blocks(p); j++) {
        work.hold(b, g, j);
        work.clear_keys();
        for (int64_t h = 0; h < p.heads; h++)
          for (int64_t i = 0; i < work.blocks.count; i++) {
            const Block block = block_of(p, work.blocks, i, j);
            if (p.group(h) != g || !block.visible()) continue;
            const int64_t at = p.row(b, h, block.i) * p.size;
            work.add(b, h, block, p.dq ? dq.sums + at : nullptr, true);
          }
        work.store_keys(b, g, j);
      }
  dq.round();
  for (int64_t h = 0; p.dsinks && h < p.heads; h++) sink_gradient<T>(p, delta.data(), h);
  if (!p.dmask) return;
  const MaskParts parts(p);
  const Place<T> dmask(p.dmask, 0, product_of(parts.sizes[0], parts.sizes[1], parts.sizes[2], parts.sizes[3]));
  for (int64_t part = 0; part < parts.count(); part++) mask_gradient(work, parts, part, dmask.sums);
  dmask.round();
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_3) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
