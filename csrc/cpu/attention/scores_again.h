// The scores of a block once more, for backward: its probabilities, and the gradients of its scores.
#pragma once
#include "forward.h"

namespace scratchnet {
namespace {

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
template <class T, class Y>
void deltas(const AttentionBackward& p, const Y* y, int64_t b, int64_t h, int64_t i, int64_t count, acc_t<T>* delta) {
  using A = acc_t<T>;
  constexpr int R = 8;
  for (int64_t first = 0; first < count; first += R) {
    const T* g[R];
    const Y* of[R];
    A sum[R] = {};
    for (int r = 0; r < R; r++) {
      const int64_t n = i + min(first + r, count - 1);
      g[r] = (const T*)p.grad.data + p.grad.offset(b, h, n);
      of[r] = y + ((b * p.queries + n) * p.heads + h) * p.value_size;
    }
    for (int64_t from = 0; from < p.value_size; from += CHAIN) {
      A chain[R] = {};
      for (int64_t e = from; e < min(from + CHAIN, p.value_size); e++)
        for (int r = 0; r < R; r++) chain[r] = multiply_add<A>(load1(g[r] + e * p.grad.column), load1(of[r] + e), chain[r]);
      for (int r = 0; r < R; r++) sum[r] = from > 0 ? sum[r] + chain[r] : chain[r];
    }
    for (int r = 0; r < R && first + r < count; r++) delta[first + r] = sum[r];
  }
}

// Products s = q k^T and d = g v^T -> z p, p = exp(s - lse), and the gradient of s: p (z d - delta); with TO_PRODUCT the
// gradient of the product that s comes from. lse comes in two parts: of scores of hundreds, a float of it would be wrong by
// 1e-5, and so p, even that of a key that takes all.
template <class T, bool TO_PRODUCT = true>
void gradients(const Row<T>& row, acc_t<T>* s, acc_t<T>* d, double lse, acc_t<T> delta) {
  using A = acc_t<T>;
  const A high = A(lse), low = high == INFINITY ? 0 : A(lse - high);
  const bool simple = plain(row.p), capped = TO_PRODUCT && row.p.softcap > 0, dropped = row.p.seed;
  const A outer = TO_PRODUCT ? A(row.p.scale) : 1;
  A slope[KEYS], z[KEYS];
  if (!simple) row.finish(s, slope);
  if (dropped && !row.empty()) row.factors(z);
  for (int64_t n = row.begin; n < row.end; n += lanes<A>) {
    const vec<A> p = vexp(load(s + n) - high - low), dp = dropped ? load(d + n) * load(z + n) : load(d + n);
    vec<A> ds = p * (dp - delta) * outer;
    if (capped) ds *= load(slope + n);
    store(s + n, dropped ? p * load(z + n) : p);
    store(d + n, ds);
  }
  row.clear(s, 0), row.clear(d, 0);
}

template <class T, class K = Columns<T>>
struct ScoresAgain {
  using A = acc_t<T>;
  static constexpr bool COPIES = sizeof(T) < sizeof(A);
  const AttentionBackward& p;
  const A* delta;
  const QueryBlocks blocks;
  K k;
  Columns<T> v;
  const Scratch<A> s, d, q, g;

  ScoresAgain(const AttentionBackward& p, const A* delta)
      : p(p),
        delta(delta),
        blocks(p),
        k(p, p.k, p.size),
        v(p, p.v, p.value_size),
        s(QUERIES, KEYS),
        d(QUERIES, KEYS),
        q(QUERIES, p.size),
        g(COPIES ? QUERIES : 0, p.value_size) {}

  void hold(int64_t b, int64_t group, int64_t j) { k.hold(b, group, j), v.hold(b, group, j); }

  // z p into s, and the gradient of the products (or of the scores) into d.
  template <bool TO_PRODUCT = true>
  void probabilities(int64_t b, int64_t h, const Block& block) const {
    // The sums of forward, in its order: where scores are large, p = exp(s - lse) feels the last bit of another s.
    k.scores(block, lines<T>(p.q, b, h, block.i, block.rows, p.size, q, A(p.scale)), s.data());
    v.scores(block, lines<T>(p.grad, b, h, block.i, block.rows, p.value_size, g), d.data());
    for (int64_t r = 0; r < block.rows; r++) {
      const int64_t n = p.row(b, h, block.i + r);
      gradients<T, TO_PRODUCT>(Row<T>(p, b, h, block, r), s.at(r * KEYS, KEYS), d.at(r * KEYS, KEYS), p.lse[n], delta[n]);
    }
  }
};

}  // namespace
}  // namespace scratchnet
