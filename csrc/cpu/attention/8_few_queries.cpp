// Attention, rung 8: up to four queries that share keys, as when words are generated one by one, read keys and values where
// they lie. To pack them for the register tiles takes longer than to use them.
//
// What is added to a mask keeps rung 7: it may want a gradient.
#include "backward.h"
#include "cpu/ladder.h"
#include "in_place.h"

namespace scratchnet {
namespace {

bool few(const Attention& p) { return few_queries(p) && (!p.mask.data || p.boolean); }

template <class T, class Y = T>
void forward(const AttentionForward& p) {
  Forward<T, Y> attend(p);
  EitherKeys<T> keys(p);
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
  Backward<T, EitherColumns<T>> work(p, delta.data());
  const int64_t heads = p.batches * p.groups, share = p.groups ? p.heads / p.groups : 0;
  for (int64_t n = 0; n < heads; n++) {
    const Place<T> dq(p.dq, n * share * p.queries * p.size, share * p.queries * p.size);
    add_blocks_of_keys(work, n / p.groups, n % p.groups, {0, key_blocks(p)}, dq.sums);
    dq.round();
  }
  for (int64_t h = 0; p.dsinks && h < p.heads; h++) sink_gradient<T>(p, delta.data(), h);
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_8) = {
    [](const On& on, const AttentionForward& p) {
      if (!few(p)) return attention_kernels(5).forward(on, p);
      SN_TYPED(forward)(on, p);
    },
    [](const On& on, const AttentionBackward& p) {
      if (!few(p)) return attention_kernels(7).backward(on, p);
      SN_TYPED(backward)(on, p);
    },
};

}  // namespace scratchnet
