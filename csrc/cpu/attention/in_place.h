// Up to four queries that share keys, as when words are generated one by one: keys and values are read where they lie, once.
//
// To pack them for the register tiles would take longer than to use them: a head's 1,024 keys of 64 numbers took 1.8 times
// as long.
#pragma once
#include "tiles.h"

namespace scratchnet {
namespace {

inline bool few_queries(const Attention& p) {
  return p.queries * p.heads <= 4 * p.groups && p.q.column == 1 && p.k.column == 1 && p.v.column == 1;
}

// c = q k^T for what the queries of a block see; `keys` is the first key of the block.
template <class T>
void scores_in_place(const Block& block, int64_t size, const Lines<acc_t<T>>& q, const T* keys, int64_t row, acc_t<T>* c) {
  using A = acc_t<T>;
  constexpr int K = 4;  // sums side by side: none waits for the addition before it
  for (int64_t r = 0; r < block.rows; r++) {
    const A* const query = q.data + r * q.line;
    const Span seen = block.keys_of(r, 1);
    for (int64_t j = seen.begin; j < seen.end; j += K) {
      const T* key[K];
      for (int u = 0; u < K; u++) key[u] = keys + min(j + u, seen.end - 1) * row;
      vec<A> sum[K] = {};
      map<T>(0, size, [&](int64_t e, auto get, auto) SN_LAMBDA_INLINE {
        const vec<A> x = get(query + e);
        for (int u = 0; u < K; u++) sum[u] += x * get(key[u] + e);
      });
      for (int u = 0; u < K && j + u < seen.end; u++) c[r * KEYS + j + u] = vsum(sum[u]);
    }
  }
}

// c (queries, size) += p v; `values` is the first value of the block.
template <class T>
void add_values_in_place(const Block& block, int64_t size, const acc_t<T>* p, const T* values, int64_t row, acc_t<T>* c) {
  using A = acc_t<T>;
  constexpr int K = 4;  // registers of a value, read while their cache lines are near
  constexpr int64_t N = lanes<A>;
  for (int64_t r = 0; r < block.rows; r++) {
    const A* const weight = p + r * KEYS;
    A* const to = c + r * size;
    const Span seen = block.keys_of(r, 1);
    int64_t e = 0;
    for (; e + K * N <= size; e += K * N) {
      vec<A> sum[K];
      for (int u = 0; u < K; u++) sum[u] = load(to + e + u * N);
      for (int64_t j = seen.begin; j < seen.end; j++)
        for (int u = 0; u < K; u++) sum[u] += weight[j] * load(values + j * row + e + u * N);
      for (int u = 0; u < K; u++) store(to + e + u * N, sum[u]);
    }
    map<A>(e, size, [&](int64_t e, auto get, auto put) SN_LAMBDA_INLINE {
      vec<A> sum = get(to + e);
      for (int64_t j = seen.begin; j < seen.end; j++) sum += weight[j] * get(values + j * row + e);
      put(to + e, sum);
    });
  }
}

// Rows of a head, a block of them at a time: in panels, or where they lie.
template <class T>
struct EitherColumns {
  using A = acc_t<T>;
  const bool few;
  const Columns<T> packed;
  const T* first = nullptr;  // row of the block

  EitherColumns(const Attention& p, const Heads& rows, int64_t size) : few(few_queries(p)), packed(p, rows, size) {}
  void hold(int64_t b, int64_t g, int64_t j) {
    if (few) first = (const T*)packed.rows.data + packed.rows.offset(b, g, j * KEYS);
    else packed.hold(b, g, j);
  }
  void scores(const Block& block, const Lines<A>& q, A* c) const {
    if (few) scores_in_place(block, packed.size, q, first, packed.rows.row, c);
    else packed.scores(block, q, c);
  }
};

// Keys and values of one block, packed, or where they lie.
template <class T>
struct EitherKeys {
  using A = acc_t<T>;
  const Attention& p;
  const bool few;
  PackedKeys<T> packed;
  const T *first_key = nullptr, *first_value = nullptr;

  explicit EitherKeys(const Attention& p) : p(p), few(few_queries(p)), packed(p) {}
  void hold(int64_t b, int64_t g, int64_t j) {
    if (!few) return packed.hold(b, g, j);
    first_key = (const T*)p.k.data + p.k.offset(b, g, j * KEYS);
    first_value = (const T*)p.v.data + p.v.offset(b, g, j * KEYS);
  }
  void scores(const Block& block, const Lines<A>& q, A* c) const {
    if (few) scores_in_place(block, p.size, q, first_key, p.k.row, c);
    else packed.scores(block, q, c);
  }
  void add_values(const Block& block, const A* weights, A* c) const {
    if (few) add_values_in_place(block, p.value_size, weights, first_value, p.v.row, c);
    else packed.add_values(block, weights, c);
  }
};

}  // namespace
}  // namespace scratchnet
