// Attention, rung 5: what a block of exponentials does to the values is a product of register tiles, too.
//
//   for each block of queries, for each block of keys:  S = Q K^T,  P = exp(S - m),  O = shrink O + P V
//
// 4 operations per number of a query and key, and both halves of them in registers. https://arxiv.org/abs/2307.08691
#include "cpu/ladder.h"
#include "forward.h"

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

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_5) = {SN_TYPED(forward), SN_FROM(attention_kernels(3), backward)};

}  // namespace scratchnet
