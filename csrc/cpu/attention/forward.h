// Forward by blocks: keys and values packed, and one block of queries.
#pragma once
#include "rows.h"

namespace scratchnet {
namespace {

// Rows [i, i + rows) of a head times `scale`, in the type that is computed in: where they lie, or a copy. Scores are scaled by
// their queries: a score times the scale and less the largest one, in one fused operation, would not be 0 for that one itself.
template <class T>
Lines<acc_t<T>> lines(const Heads& t, int64_t b, int64_t h, int64_t i, int64_t rows, int64_t size,
                      const Scratch<acc_t<T>>& copy, acc_t<T> scale = 1) {
  const T* const from = (const T*)t.data + t.offset(b, h, i);
  if constexpr (sizeof(T) == sizeof(acc_t<T>))
    if (scale == 1) return {from, t.row, t.column};
  acc_t<T>* const to = copy.at(0, rows * size);
  for (int64_t r = 0; r < rows; r++)
    if (t.column == 1)
      map<T>(0, size, [&](int64_t e, auto get, auto put) SN_LAMBDA_INLINE {
        put(to + r * size + e, get(from + r * t.row + e) * scale);
      });
    else
      for (int64_t e = 0; e < size; e++) to[r * size + e] = load1(from + r * t.row + e * t.column) * scale;
  return {to, size, 1};
}

// Panels for the right side of a product, whose columns are those of the rows.
template <class T>
void pack_rows(const Heads& t, int64_t b, int64_t h, int64_t i, int64_t rows, int64_t size, const Scratch<acc_t<T>>& panels) {
  pack<COLUMNS<acc_t<T>>>((const T*)t.data + t.offset(b, h, i), t.column, t.row, size, rows,
                          panels.at(0, round_up(size, COLUMNS<acc_t<T>>) * rows));
}

// c (queries, size) += p v, p a block of numbers, v a row in the panels for each key.
template <class A>
void add_over_keys(const Block& block, int64_t size, const A* p, const A* v, A* c) {
  const auto seen = [&](int64_t r, int64_t count) SN_LAMBDA_INLINE { return block.keys_of(r, count); };
  product(block.rows, size, block.columns, Lines<A>{p, KEYS, 1}, v, c, size, true, KEYS, all(size), seen);
}

// Rows of a head, a block of them at a time: each is a column of the right side of a product, in panels.
template <class T>
struct Columns {
  using A = acc_t<T>;
  const Attention& p;
  const Heads& rows;  // p.k or p.v
  const int64_t size;
  const Scratch<A> panels;

  Columns(const Attention& p, const Heads& rows, int64_t size) : p(p), rows(rows), size(size), panels(KEYS, size) {}
  void hold(int64_t b, int64_t g, int64_t j) const {
    pack<COLUMNS<A>>((const T*)rows.data + rows.offset(b, g, j * KEYS), rows.row, rows.column, min(KEYS, p.keys - j * KEYS),
                     size, panels.data());
  }
  void scores(const Block& block, const Lines<A>& q, A* c) const { scratchnet::scores(block, size, q, panels.data(), c); }
};

// Keys and values of one block, packed.
template <class T>
struct PackedKeys {
  using A = acc_t<T>;
  const Attention& p;
  Columns<T> k;
  const Scratch<A> v;
  int64_t held = -1;  // which block

  explicit PackedKeys(const Attention& p) : p(p), k(p, p.k, p.size), v(KEYS, round_up(p.value_size, COLUMNS<A>)) {}
  void hold(int64_t b, int64_t g, int64_t j) {
    const int64_t wanted = (b * p.groups + g) * key_blocks(p) + j, rows = min(KEYS, p.keys - j * KEYS);
    if (held == wanted) return;
    k.hold(b, g, j);
    pack_rows<T>(p.v, b, g, j * KEYS, rows, p.value_size, v);
    held = wanted;
  }
  void scores(const Block& block, const Lines<A>& q, A* c) const { k.scores(block, q, c); }
  void add_values(const Block& block, const A* weights, A* c) const {
    add_over_keys(block, p.value_size, weights, v.data(), c);
  }
};

// One block of queries: online softmax over the blocks of keys; keys_of(j) gives each of these, packed. Y: the type of the
// result.
template <class T, class Y = T>
struct Forward {
  using A = acc_t<T>;
  const AttentionForward& p;
  const QueryBlocks blocks;
  const Scratch<A> s, o, q;
  A m[QUERIES], l[QUERIES];

  explicit Forward(const AttentionForward& p)
      : p(p), blocks(p), s(QUERIES, KEYS), o(QUERIES, p.value_size), q(QUERIES, p.size) {}

  template <class Keys>
  void operator()(int64_t b, int64_t h, int64_t i, const Keys& keys_of) {
    const Block all = block_of(p, blocks, i, 0);
    const A sink = p.sinks ? load1((const T*)p.sinks + h) : -INFINITY;
    set(m, 0, all.rows, sink), set(l, 0, all.rows, A(sink == -INFINITY ? 0 : 1));
    set(o.at(0, all.rows * p.value_size), 0, all.rows * p.value_size, A(0));
    const auto queries = lines<T>(p.q, b, h, all.i, all.rows, p.size, q, A(p.scale));
    for (int64_t j = 0; j < key_blocks(p); j++) {
      const Block block = block_of(p, blocks, i, j);
      if (!block.visible()) continue;
      const auto& keys = keys_of(j);
      keys.scores(block, queries, s.data());
      for (int64_t r = 0; r < block.rows; r++)
        shrink(r, exponentials(Row<T>(p, b, h, block, r), s.at(r * KEYS, KEYS), m[r], l[r]));
      keys.add_values(block, s.data(), o.data());
    }
    for (int64_t r = 0; r < all.rows; r++) finish(b, h, all.i + r, r);
  }

 private:
  void shrink(int64_t r, A by) const {
    if (by == 1) return;
    A* const row = o.at(r * p.value_size, p.value_size);
    map<A>(0, p.value_size, [&](int64_t e, auto get, auto put) SN_LAMBDA_INLINE { put(row + e, get(row + e) * by); });
  }
  void finish(int64_t b, int64_t h, int64_t i, int64_t r) const {
    const A* const row = o.at(r * p.value_size, p.value_size);
    Y* const y = (Y*)p.y + ((b * p.queries + i) * p.heads + h) * p.value_size;
    const A one = l[r] == 0 ? 0 : 1 / l[r];
    map<T>(0, p.value_size, [&](int64_t e, auto get, auto put) SN_LAMBDA_INLINE { put(y + e, get(row + e) * one); });
    if (p.lse) p.lse[p.row(b, h, i)] = l[r] == 0 ? INFINITY : m[r] + log(double(l[r]));
  }
};

}  // namespace
}  // namespace scratchnet
