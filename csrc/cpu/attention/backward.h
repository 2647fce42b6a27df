// Backward by blocks: one block of keys, and what its gradients add up to.
#pragma once
#include "cpu/flush.h"
#include "scores_again.h"

namespace scratchnet {
namespace {

// What gradients that are rounded once need of a y of 16 bits: memory for the y before it was rounded, made again.
template <class T>
struct Unrounded {
  using A = acc_t<T>;
  static constexpr bool NEEDED = sizeof(T) < sizeof(A);
  const Scratch<A> y;
  explicit Unrounded(const AttentionBackward& p) : y(NEEDED ? p.batches : 0, p.queries, p.heads, p.value_size) {}
  AttentionForward forward(const AttentionBackward& p) const { return {p, y.data(), nullptr}; }
  const A* of(const AttentionBackward& p) const { return NEEDED ? y.data() : (const A*)p.y; }
};

template <class T>
void sink_gradient(const AttentionBackward& p, const acc_t<T>* delta, int64_t h) {
  double sum = 0;
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t n = p.row(b, h, 0); n < p.row(b, h, 0) + p.queries; n++)
      sum -= exp(load1((const T*)p.sinks + h) - p.lse[n]) * delta[n];
  store1((T*)p.dsinks + h, acc_t<T>(sum));
}

// c (keys, size) += p^T g, g a row in the panels for each query.
template <class A>
void add_over_queries(const Block& block, int64_t size, const A* p, const A* g, A* c) {
  const Block turned = {block.j, block.columns, block.i, block.rows, block.right, block.left};
  const auto seen = [&](int64_t r, int64_t count) SN_LAMBDA_INLINE { return turned.keys_of(r, count); };
  product(block.columns, size, block.rows, Lines<A>{p, 1, KEYS}, g, c, size, true, KEYS, all(size), seen);
}

template <class T>
void rounded(T* to, const acc_t<T>* from, int64_t count) {
  map<T>(0, count, [&](int64_t n, auto get, auto put) SN_LAMBDA_INLINE { put(to + n, get(from + n)); });
}

// A place for `count` sums of gradients, all 0: where they belong, or wider than that.
template <class T>
struct Place {
  using A = acc_t<T>;
  T* const to;
  const int64_t count;
  const Scratch<A> wide;
  A* const sums;
  Place(void* p, int64_t at, int64_t count)
      : to(p ? (T*)p + at : nullptr),
        count(to ? count : 0),
        wide(sizeof(T) < sizeof(A) ? this->count : 0),
        sums(!to                     ? nullptr
             : sizeof(T) < sizeof(A) ? wide.data()
                                     : (A*)to) {
    set(sums, 0, this->count, A(0));
  }
  void round() const {
    if (to && sizeof(T) < sizeof(A)) rounded(to, sums, count);
  }
};

// One block of keys, packed, and what its gradients add up to over the blocks of queries.
template <class T, class K = Columns<T>>
struct Backward {
  using A = acc_t<T>;
  const AttentionBackward& p;
  ScoresAgain<T, K> again;
  const Scratch<A> k, dk, dv, q, g;  // k, q and g in panels

  Backward(const AttentionBackward& p, const A* delta)
      : p(p),
        again(p, delta),
        k(KEYS, round_up(p.size, COLUMNS<A>)),
        dk(KEYS, p.size),
        dv(KEYS, p.value_size),
        q(QUERIES, round_up(p.size, COLUMNS<A>)),
        g(QUERIES, round_up(p.value_size, COLUMNS<A>)) {}

  void hold(int64_t b, int64_t group, int64_t j) {
    again.hold(b, group, j);
    if (p.dq) pack_rows<T>(p.k, b, group, j * KEYS, min(KEYS, p.keys - j * KEYS), p.size, k);
  }
  void clear_keys() const { fill_zeros(dk), fill_zeros(dv); }

  // Adds what a block says about its queries to dq (queries of the block, size), about its keys to dk and dv.
  void add(int64_t b, int64_t h, const Block& block, A* dq, bool to_keys) const {
    again.probabilities(b, h, block);
    if (to_keys && p.dv) {
      pack_rows<T>(p.grad, b, h, block.i, block.rows, p.value_size, g);
      add_over_queries(block, p.value_size, again.s.data(), g.data(), dv.data());
    }
    if (to_keys && p.dk) {
      pack_rows<T>(p.q, b, h, block.i, block.rows, p.size, q);
      add_over_queries(block, p.size, again.d.data(), q.data(), dk.data());
    }
    if (dq) add_over_keys(block, p.size, again.d.data(), k.data(), dq);
  }

  void store_keys(int64_t b, int64_t group, int64_t j) const {
    const int64_t first = (b * p.groups + group) * p.keys + j * KEYS, rows = min(KEYS, p.keys - j * KEYS);
    if (p.dk) rounded((T*)p.dk + first * p.size, dk.data(), rows * p.size);
    if (p.dv) rounded((T*)p.dv + first * p.value_size, dv.data(), rows * p.value_size);
  }
};

// dk and dv of some blocks of keys of a head; and dq of the heads of q that share it, unless it is null.
template <class T, class K>
void add_blocks_of_keys(Backward<T, K>& work, int64_t b, int64_t g, Span keys, acc_t<T>* dq) {
  const AttentionBackward& p = work.p;
  const int64_t share = p.heads / p.groups;
  for (int64_t j = keys.begin; j < keys.end; j++) {
    work.hold(b, g, j);
    work.clear_keys();
    for (int64_t h = g * share; h < (g + 1) * share; h++)
      for (int64_t i = 0; i < work.again.blocks.count; i++) {
        const Block block = block_of(p, work.again.blocks, i, j);
        if (block.visible()) work.add(b, h, block, dq ? dq + ((h - g * share) * p.queries + block.i) * p.size : nullptr, true);
      }
    work.store_keys(b, g, j);
  }
}

}  // namespace
}  // namespace scratchnet
