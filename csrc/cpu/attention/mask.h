// The gradient of an additive mask, in a pass of its own.
#pragma once
#include "scores_again.h"

namespace scratchnet {
namespace {

// The parts of the gradient that no two threads may share: of its queries or of its keys, whichever it has, for each of its
// heads. A mask that was broadcast sums up what it was added to, in one order.
struct MaskParts {
  const AttentionBackward& p;
  const int64_t *sizes, queries, keys;  // blocks that the mask's rows, or else its columns, are cut into
  explicit MaskParts(const AttentionBackward& p)
      : p(p),
        sizes(p.mask_sizes),
        queries(sizes[2] > 1 ? QueryBlocks(p).count : 1),
        keys(sizes[2] <= 1 && sizes[3] > 1 ? key_blocks(p) : 1) {}
  int64_t count() const { return sizes[0] * sizes[1] * queries * keys; }
};

// Adds to `sums`, in the shape of the mask, what belongs to one part.
template <class T, class K>
void mask_gradient(ScoresAgain<T, K>& work, const MaskParts& parts, int64_t part, acc_t<T>* sums) {
  const AttentionBackward& p = parts.p;
  const int64_t keys = part % parts.keys, queries = part / parts.keys % parts.queries;
  const int64_t of_head = part / parts.keys / parts.queries, head = of_head % parts.sizes[1], batch = of_head / parts.sizes[1];
  const auto inside = [](int64_t n, int64_t count, int64_t size) { return size == 1 || count == n; };
  const int64_t step = parts.sizes[3] == 1 ? 0 : 1;
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++)
      for (int64_t j = 0; j < key_blocks(p) && inside(batch, b, parts.sizes[0]) && inside(head, h, parts.sizes[1]); j++) {
        if (!inside(keys, j, parts.keys)) continue;
        work.hold(b, p.group(h), j);
        for (int64_t i = 0; i < work.blocks.count; i++) {
          const Block block = block_of(p, work.blocks, i, j);
          if (!inside(queries, i, parts.queries) || !block.visible()) continue;
          work.template probabilities<false>(b, h, block);
          for (int64_t r = 0; r < block.rows; r++) {
            acc_t<T>* const to = sums + p.dmask_at(b, h, block.i + r, block.j);
            for (int64_t c = 0; c < block.columns; c++) to[c * step] += work.d[r * KEYS + c];
          }
        }
      }
}

}  // namespace
}  // namespace scratchnet
