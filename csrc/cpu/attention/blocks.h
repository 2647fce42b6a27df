// The work on one block of queries (forward) and on one block of scores (backward), for rungs 3 and 4.
#pragma once
#include "cpu/flush.h"
#include "in_place.h"
#include "rows.h"

namespace scratchnet {
namespace {

// How the queries are cut: into blocks that are about equal.
struct QueryBlocks {
  int64_t size, count;
  explicit QueryBlocks(const Attention& p) : size(piece(p.queries, QUERIES, ROWS)), count(ceil_div(p.queries, size)) {}
};
inline int64_t key_blocks(const Attention& p) { return ceil_div(p.keys, KEYS); }

inline Block block_of(const Attention& p, const QueryBlocks& blocks, int64_t i, int64_t j) {
  return {i * blocks.size, min(blocks.size, p.queries - i * blocks.size), j * KEYS, min(KEYS, p.keys - j * KEYS), p.left,
          p.right};
}

// The first key, or value, of a block.
template <class T>
const T* first_key(const Attention& p, const Heads& keys, int64_t b, int64_t h, const Block& block) {
  return (const T*)keys.data + keys.offset(b, p.group(h), block.j);
}

// ---- forward ------------------------------------------------------------------------------------------------------------

// Keys and values of one block, packed.
template <class T>
struct PackedKeys {
  using A = acc_t<T>;
  const Scratch<A> k, v;
  int64_t held = -1;  // which block

  explicit PackedKeys(const Attention& p) : k(panels_of<A>(KEYS, p.size)), v(panels_of<A>(KEYS, p.value_size)) {}
  void hold(const Attention& p, int64_t b, int64_t g, int64_t j) {
    const int64_t wanted = (b * p.groups + g) * key_blocks(p) + j, rows = min(KEYS, p.keys - j * KEYS);
    if (held == wanted) return;
    pack_transposed<T>(p.k, b, g, j * KEYS, rows, p.size, k.data());
    pack_rows<T>(p.v, b, g, j * KEYS, rows, p.value_size, v);
    held = wanted;
  }
};

// One block of queries: online softmax over the blocks of keys; packed(j) gives each of these. Y: the type of the result.
template <class T, class Y = T>
struct Forward {
  using A = acc_t<T>;
  const AttentionForward& p;
  const QueryBlocks blocks;
  const bool few;
  const Scratch<A> s, o, q;
  A m[QUERIES], l[QUERIES];

  explicit Forward(const AttentionForward& p)
      : p(p), blocks(p), few(few_queries(p)), s(QUERIES, KEYS), o(QUERIES, p.value_size), q(QUERIES, p.size) {}

  template <class Keys>
  void operator()(int64_t b, int64_t h, int64_t i, const Keys& packed) {
    const Block all = block_of(p, blocks, i, 0);
    const A sink = p.sinks ? load1((const T*)p.sinks + h) : -INFINITY;
    set(m, 0, all.rows, sink), set(l, 0, all.rows, A(sink == -INFINITY ? 0 : 1));
    set(o.at(0, all.rows * p.value_size), 0, all.rows * p.value_size, A(0));
    const auto queries = lines<T>(p.q, b, h, all.i, all.rows, p.size, q, A(p.scale));
    for (int64_t j = 0; j < key_blocks(p); j++) {
      const Block block = block_of(p, blocks, i, j);
      if (!block.visible()) continue;
      const PackedKeys<T>* const keys = few ? nullptr : &packed(j);
      if (few) scores_in_place(block, p.size, queries, first_key<T>(p, p.k, b, h, block), p.k.row, s.data());
      else scores(block, p.size, queries, keys->k.data(), s.data());
      for (int64_t r = 0; r < block.rows; r++)
        shrink(r, exponentials(Row<T>(p, b, h, block, r), s.at(r * KEYS, KEYS), m[r], l[r]));
      if (few) add_values_in_place(block, p.value_size, s.data(), first_key<T>(p, p.v, b, h, block), p.v.row, o.data());
      else add_over_keys(block, p.value_size, s.data(), keys->v.data(), o.data());
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

// ---- backward -----------------------------------------------------------------------------------------------------------

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

// a b + c rounded once where a tile does so. Left to the compiler, a sum may become products first and then additions.
template <class A>
SN_INLINE A multiply_add(A a, A b, A c) {
#if defined(__FMA__) || defined(__aarch64__)
  if constexpr (sizeof(A) == 4) return __builtin_fmaf(a, b, c);
  else return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

// delta_i = g_i . y_i of `count` queries of a head. The sums have the order of a tile's: where y is a single value, as for a
// query with one key, delta is dp to the last bit and the gradient 0. Several at a time, for each sum waits for its last term.
template <class T>
void deltas(const AttentionBackward& p, const acc_t<T>* y, int64_t b, int64_t h, int64_t i, int64_t count, acc_t<T>* delta) {
  using A = acc_t<T>;
  constexpr int R = 8;
  for (int64_t first = 0; first < count; first += R) {
    const T* g[R];
    const A* of[R];
    A sum[R] = {};
    for (int r = 0; r < R; r++) {
      const int64_t n = i + min(first + r, count - 1);
      g[r] = (const T*)p.grad.data + p.grad.offset(b, h, n);
      of[r] = y + ((b * p.queries + n) * p.heads + h) * p.value_size;
    }
    for (int64_t from = 0; from < p.value_size; from += CHAIN) {
      A chain[R] = {};
      for (int64_t e = from; e < min(from + CHAIN, p.value_size); e++)
        for (int r = 0; r < R; r++) chain[r] = multiply_add<A>(load1(g[r] + e * p.grad.column), of[r][e], chain[r]);
      for (int r = 0; r < R; r++) sum[r] = from > 0 ? sum[r] + chain[r] : chain[r];
    }
    for (int r = 0; r < R && first + r < count; r++) delta[first + r] = sum[r];
  }
}

template <class T>
void sink_gradient(const AttentionBackward& p, const acc_t<T>* delta, int64_t h) {
  double sum = 0;
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t n = p.row(b, h, 0); n < p.row(b, h, 0) + p.queries; n++)
      sum -= exp(load1((const T*)p.sinks + h) - p.lse[n]) * delta[n];
  store1((T*)p.dsinks + h, acc_t<T>(sum));
}

// One block of keys, packed, and what its gradients add up to over the blocks of queries.
template <class T>
struct Backward {
  using A = acc_t<T>;
  static constexpr bool COPIES = sizeof(T) < sizeof(A);
  const AttentionBackward& p;
  const A* delta;
  const QueryBlocks blocks;
  const bool few;
  const Scratch<A> k, k_columns, v_columns, dk, dv, s, d, q, q_rows, g, g_rows;

  Backward(const AttentionBackward& p, const A* delta)
      : p(p),
        delta(delta),
        blocks(p),
        few(few_queries(p)),
        k(panels_of<A>(KEYS, p.size)),
        k_columns(panels_of<A>(KEYS, p.size)),
        v_columns(panels_of<A>(KEYS, p.value_size)),
        dk(KEYS, p.size),
        dv(KEYS, p.value_size),
        s(QUERIES, KEYS),
        d(QUERIES, KEYS),
        q(QUERIES, p.size),
        q_rows(panels_of<A>(QUERIES, p.size)),
        g(COPIES ? QUERIES : 0, p.value_size),
        g_rows(panels_of<A>(QUERIES, p.value_size)) {}

  void hold(int64_t b, int64_t group, int64_t j) const {
    const int64_t first = j * KEYS, rows = min(KEYS, p.keys - first);
    if (!few) pack_transposed<T>(p.k, b, group, first, rows, p.size, k_columns.data());
    pack_transposed<T>(p.v, b, group, first, rows, p.value_size, v_columns.data());
    if (p.dq) pack_rows<T>(p.k, b, group, first, rows, p.size, k);
  }
  void clear_keys() const { fill_zeros(dk), fill_zeros(dv); }

  // z p into s, and the gradient of the products (or of the scores) into d.
  template <bool TO_PRODUCT = true>
  void probabilities(int64_t b, int64_t h, const Block& block) const {
    // The sums of forward, in its order: where scores are large, p = exp(s - lse) feels the last bit of another s.
    const auto queries = lines<T>(p.q, b, h, block.i, block.rows, p.size, q, A(p.scale));
    if (few) scores_in_place(block, p.size, queries, first_key<T>(p, p.k, b, h, block), p.k.row, s.data());
    else scores(block, p.size, queries, k_columns.data(), s.data());
    scores(block, p.value_size, lines<T>(p.grad, b, h, block.i, block.rows, p.value_size, g), v_columns.data(), d.data());
    for (int64_t r = 0; r < block.rows; r++) {
      const int64_t n = p.row(b, h, block.i + r);
      gradients<T, TO_PRODUCT>(Row<T>(p, b, h, block, r), s.at(r * KEYS, KEYS), d.at(r * KEYS, KEYS), p.lse[n], delta[n]);
    }
  }

  // Adds what a block says about its queries to dq (queries of the block, size), about its keys to dk and dv.
  void add(int64_t b, int64_t h, const Block& block, A* dq, bool to_keys) const {
    probabilities(b, h, block);
    if (to_keys && p.dv) {
      pack_rows<T>(p.grad, b, h, block.i, block.rows, p.value_size, g_rows);
      add_over_queries(block, p.value_size, s.data(), g_rows.data(), dv.data());
    }
    if (to_keys && p.dk) {
      pack_rows<T>(p.q, b, h, block.i, block.rows, p.size, q_rows);
      add_over_queries(block, p.size, d.data(), q_rows.data(), dk.data());
    }
    if (dq) add_over_keys(block, p.size, d.data(), k.data(), dq);
  }

  void store_keys(int64_t b, int64_t group, int64_t j) const {
    const int64_t first = (b * p.groups + group) * p.keys + j * KEYS, rows = min(KEYS, p.keys - j * KEYS);
    if (p.dk) rounded((T*)p.dk + first * p.size, dk.data(), rows * p.size);
    if (p.dv) rounded((T*)p.dv + first * p.value_size, dv.data(), rows * p.value_size);
  }

  static void rounded(T* to, const A* from, int64_t count) {
    map<T>(0, count, [&](int64_t n, auto get, auto put) SN_LAMBDA_INLINE { put(to + n, get(from + n)); });
  }
};

// ---- the gradient of an additive mask -------------------------------------------------------------------------------------

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
template <class T>
void mask_gradient(const Backward<T>& work, const MaskParts& parts, int64_t part, acc_t<T>* sums) {
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
    if (to && sizeof(T) < sizeof(A)) Backward<T>::rounded(to, sums, count);
  }
};

}  // namespace
}  // namespace scratchnet
