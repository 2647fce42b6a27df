// Attention, rung 7: the gradients of queries, keys and values are products of register tiles, too.
//
//   for each block of keys, for each block of queries:  P and dS of rung 6,  dV += P^T G,  dK += dS^T Q,  dQ += dS K
//
// 10 operations per number of a query and key. Sums are in the type that is computed in and rounded once; so that the rounding
// of a y of 16 bits does not spoil them, y is made once more. The gradient of a mask stays with rung 6.
#include "backward.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T, class Y = T>
void forward(const AttentionForward& p) {
  Forward<T, Y> attend(p);
  PackedKeys<T> keys(p);
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++)
      for (int64_t i = 0; i < attend.blocks.count; i++)
        attend(b, h, i, [&](int64_t j) -> const auto& { return keys.hold(b, p.group(h), j), keys; });
}

template <class T>
void backward(const AttentionBackward& p) {
  using A = acc_t<T>;
  const FlushToZero flush;
  const Scratch<A> delta(p.batches, p.heads, p.queries);
  const Unrounded<T> again(p);
  if (again.NEEDED) forward<T, A>(again.forward(p));
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++) deltas<T>(p, again.of(p), b, h, 0, p.queries, delta.at(p.row(b, h, 0), p.queries));
  Backward<T> work(p, delta.data());
  const int64_t heads = p.batches * p.groups, share = p.groups ? p.heads / p.groups : 0;
  for (int64_t n = 0; n < heads; n++) {
    const Place<T> dq(p.dq, n * share * p.queries * p.size, share * p.queries * p.size);
    add_blocks_of_keys(work, n / p.groups, n % p.groups, {0, key_blocks(p)}, dq.sums);
    dq.round();
  }
  for (int64_t h = 0; p.dsinks && h < p.heads; h++) sink_gradient<T>(p, delta.data(), h);
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_7) = {
    SN_FROM(attention_kernels(5), forward),
    [](const On& on, const AttentionBackward& p) {
      if (p.dmask) return attention_kernels(6).backward(on, p);
      SN_TYPED(backward)(on, p);
    },
};

}  // namespace scratchnet
