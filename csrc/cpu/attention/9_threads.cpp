// Attention, rung 9: the blocks, split over the threads.
//
//   forward   each thread takes blocks of queries, neighbours of one head where it can: it packs the keys of a head once
//   backward  each thread takes heads of k and v with all their queries: 5 products for each block of scores. Where there are
//             too few such heads, each takes blocks of keys, for dk and dv, then blocks of queries, for dq: 7 products, in the
//             same order of sums. The bits do not depend on the number of threads.
//   a mask  that was broadcast collects its gradient in a pass of its own, in parts that no two threads share
#include <memory>
#include <vector>

#include "backward.h"
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "in_place.h"
#include "mask.h"

namespace scratchnet {
namespace {

constexpr int64_t KEPT = 1 << 22;  // numbers of keys and values that a thread keeps packed: 16 MiB of floats

// Tasks that are worth a thread, of so many multiply-adds each.
inline int64_t grain_of(double work) { return max(1, int64_t(THREAD_WORK / max(1, int64_t(work < 1e15 ? work : 1e15)))); }

// Of n blocks of queries, the t-th to be computed: under a causal mask a long one follows a short one, so that neighbouring
// ranges of blocks are equally much work.
inline int64_t alternating(int64_t t, int64_t n) { return t % 2 ? n - 1 - t / 2 : t / 2; }

template <class T, class Y = T>
void forward(const AttentionForward& p) {
  const QueryBlocks blocks(p);
  const double work = double(blocks.size) * p.keys * (p.size + p.value_size);
  parallel_for(0, p.batches * p.heads * blocks.count, grain_of(work), [&](int64_t begin, int64_t end) {
    Forward<T, Y> attend(p);
    const bool keep = !few_queries(p) && end - begin > 1 && p.keys < KEPT / (p.size + p.value_size + 1);
    std::vector<std::unique_ptr<EitherKeys<T>>> held(keep ? key_blocks(p) : 1);
    for (auto& block : held) block = std::make_unique<EitherKeys<T>>(p);
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = alternating(t % blocks.count, blocks.count), h = t / blocks.count % p.heads;
      const int64_t b = t / blocks.count / p.heads;
      attend(b, h, i, [&](int64_t j) -> const EitherKeys<T>& {
        EitherKeys<T>& keys = *held[keep ? j : 0];
        return keys.hold(b, p.group(h), j), keys;
      });
    }
  });
}

// dq of one block of queries.
template <class T, class K>
void add_blocks_of_queries(Backward<T, K>& work, int64_t b, int64_t h, int64_t i, acc_t<T>* dq) {
  for (int64_t j = 0; j < key_blocks(work.p); j++) {
    const Block block = block_of(work.p, work.again.blocks, i, j);
    if (!block.visible()) continue;
    work.hold(b, work.p.group(h), j);
    work.add(b, h, block, dq, false);
  }
}

template <class T>
void backward(const AttentionBackward& p) {
  using A = acc_t<T>;
  using Gradients = Backward<T, EitherColumns<T>>;
  const Scratch<A> delta(p.batches, p.heads, p.queries);
  const Unrounded<T> again(p);
  if (again.NEEDED) forward<T, A>(again.forward(p));
  const QueryBlocks blocks(p);
  parallel_for(0, p.batches * p.heads * blocks.count, max(1, GRAIN / (blocks.size * (p.value_size + 1))),
               [&](int64_t begin, int64_t end) {
                 for (int64_t n = begin; n < end; n++) {
                   const int64_t i = n % blocks.count * blocks.size, h = n / blocks.count % p.heads;
                   const int64_t b = n / blocks.count / p.heads, count = min(blocks.size, p.queries - i);
                   deltas<T>(p, again.of(p), b, h, i, count, delta.at(p.row(b, h, i), count));
                 }
               });
  const int64_t heads = p.batches * p.groups, threads = sn_num_threads(), share = p.groups ? p.heads / p.groups : 0;
  const double work = double(p.queries) * share * p.keys * (p.size + p.value_size) * 2.5;
  const bool enough = ceil_div(heads, threads) * threads * 5 <= heads * 7 || !sn_worth_threads(heads * work / THREAD_WORK);
  parallel_for(0, enough ? heads : 0, grain_of(work), [&](int64_t begin, int64_t end) {
    const FlushToZero flush;
    Gradients gradients(p, delta.data());
    for (int64_t n = begin; n < end; n++) {
      const Place<T> dq(p.dq, n * share * p.queries * p.size, share * p.queries * p.size);
      add_blocks_of_keys(gradients, n / p.groups, n % p.groups, {0, key_blocks(p)}, dq.sums);
      dq.round();
    }
  });
  if (!enough && (p.dk || p.dv))
    parallel_for(0, heads * key_blocks(p), 1, [&](int64_t begin, int64_t end) {
      const FlushToZero flush;
      Gradients gradients(p, delta.data());
      for (int64_t n = begin; n < end; n++) {
        const int64_t j = alternating(n % key_blocks(p), key_blocks(p)), head = n / key_blocks(p);
        add_blocks_of_keys(gradients, head / p.groups, head % p.groups, {j, j + 1}, nullptr);
      }
    });
  if (!enough && p.dq)
    parallel_for(0, p.batches * p.heads * blocks.count, 1, [&](int64_t begin, int64_t end) {
      const FlushToZero flush;
      Gradients gradients(p, delta.data());
      for (int64_t n = begin; n < end; n++) {
        const int64_t i = alternating(n % blocks.count, blocks.count), head = n / blocks.count;
        const Block block = block_of(p, blocks, i, 0);
        const Place<T> dq(p.dq, (head * p.queries + block.i) * p.size, block.rows * p.size);
        add_blocks_of_queries(gradients, head / p.heads, head % p.heads, i, dq.sums);
        dq.round();
      }
    });
  if (p.dsinks)
    parallel_for(0, p.heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t h = begin; h < end; h++) sink_gradient<T>(p, delta.data(), h);
    });
  if (!p.dmask) return;
  const MaskParts parts(p);
  const Place<T> dmask(p.dmask, 0, product_of(parts.sizes[0], parts.sizes[1], parts.sizes[2], parts.sizes[3]));
  parallel_for(0, parts.count(), 1, [&](int64_t begin, int64_t end) {
    const FlushToZero flush;
    ScoresAgain<T, EitherColumns<T>> work(p, delta.data());
    for (int64_t part = begin; part < end; part++) mask_gradient(work, parts, part, dmask.sums);
  });
  dmask.round();
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_9) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
