// One query of one head, for the rungs that take a score at a time: everything in double.
#pragma once
#include "cpu/memory.h"
#include "cpu/scalar.h"
#include "ops/attention.h"

namespace scratchnet {
namespace {

// Calls f(b, h, i) for every query.
template <class F>
void for_each_query(const Attention& p, const F& f) {
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t h = 0; h < p.heads; h++)
      for (int64_t i = 0; i < p.queries; i++) f(b, h, i);
}

// One function for g . v and for g . y: where y is a single value, both have the same bits.
template <class T>
__attribute__((noinline)) double dot(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t n) {
  double sum = 0;
  for (int64_t e = 0; e < n; e++) sum += double(load1(a + e * a_step)) * load1(b + e * b_step);
  return sum;
}

template <class T>
struct Query {
  const Attention& p;
  const int64_t b, h, i;
  const Dropout dropout;
  const uint64_t key;
  const Span seen;

  Query(const Attention& p, int64_t b, int64_t h, int64_t i)
      : p(p),
        b(b),
        h(h),
        i(i),
        dropout(p.dropout),
        key(p.seed ? dropout_key(*p.seed, p.row(b, h, i)) : 0),
        seen(p.visible(i)) {}

  double q(int64_t e) const { return number(p.q, h, i, e); }
  double k(int64_t j, int64_t e) const { return number(p.k, p.group(h), j, e); }
  double v(int64_t j, int64_t e) const { return number(p.v, p.group(h), j, e); }
  double g(const Heads& grad, int64_t e) const { return number(grad, h, i, e); }
  double g_dot_v(const Heads& grad, int64_t j) const {
    return dot(row(grad, h, i), grad.column, row(p.v, p.group(h), j), p.v.column, p.value_size);
  }
  double g_dot(const Heads& grad, const T* y) const { return dot(row(grad, h, i), grad.column, y, 1, p.value_size); }
  double sink() const { return p.sinks ? load1((const T*)p.sinks + h) : -INFINITY; }

  double score(int64_t j) const {
    double x = 0;
    for (int64_t e = 0; e < p.size; e++) x += q(e) * k(j, e);
    return score(j, x * p.scale);
  }
  // From the scaled product of the query and the key.
  double score(int64_t j, double x) const {
    if (p.softcap > 0) x = p.softcap * tanh(x / p.softcap);
    if (!p.mask.data) return x;
    const int64_t at = p.mask.offset(b, h, i) + j * p.mask.column;
    if (p.boolean) return ((const uint8_t*)p.mask.data)[at] ? x : -INFINITY;
    return x + load1((const T*)p.mask.data + at);
  }
  // The derivative of the softcap, where the score before the mask was added can be had from the product alone.
  double slope(int64_t j) const {
    if (p.softcap <= 0) return 1;
    double x = 0;
    for (int64_t e = 0; e < p.size; e++) x += q(e) * k(j, e);
    const double t = tanh(x * p.scale / p.softcap);
    return 1 - t * t;
  }
  double kept(int64_t j) const { return p.seed ? dropout.factor(key, j) : 1; }

 private:
  const T* row(const Heads& t, int64_t head, int64_t n) const { return (const T*)t.data + t.offset(b, head, n); }
  double number(const Heads& t, int64_t head, int64_t n, int64_t column) const {
    return load1(row(t, head, n) + column * t.column);
  }
};

// The gradients while they grow, in double; empty where one is not needed.
template <class T>
struct Gradients {
  const AttentionBackward& p;
  const Scratch<double> dq, dk, dv, dmask, dsinks;

  explicit Gradients(const AttentionBackward& p)
      : p(p),
        dq(p.dq ? p.batches * p.heads : 0, p.queries, p.size),
        dk(p.dk ? p.batches * p.groups : 0, p.keys, p.size),
        dv(p.dv ? p.batches * p.groups : 0, p.keys, p.value_size),
        dmask(p.dmask ? p.mask_sizes[0] : 0, p.mask_sizes[1], p.mask_sizes[2], p.mask_sizes[3]),
        dsinks(p.dsinks ? p.heads : 0) {
    for (const auto* scratch : {&dq, &dk, &dv, &dmask, &dsinks}) fill_zeros(*scratch);
  }

  // Adds what score j of a query says: its probability, dL/dp before dropout, and delta.
  void add(const Query<T>& query, int64_t j, double probability, double slope_of_p, double delta) const {
    add(query, j, query.kept(j) * probability, probability * (slope_of_p - delta));
  }
  // The same from what the probability is after dropout, and from the gradient of the score.
  void add(const Query<T>& query, int64_t j, double weight, double ds) const {
    const int64_t key = (query.b * p.groups + p.group(query.h)) * p.keys + j, row = p.row(query.b, query.h, query.i);
    const double dx = ds * query.slope(j) * p.scale;
    if (p.dv)
      for (int64_t e = 0; e < p.value_size; e++) dv[key * p.value_size + e] += weight * query.g(p.grad, e);
    if (p.dq)
      for (int64_t e = 0; e < p.size; e++) dq[row * p.size + e] += dx * query.k(j, e);
    if (p.dk)
      for (int64_t e = 0; e < p.size; e++) dk[key * p.size + e] += dx * query.q(e);
    if (p.dmask) dmask[p.dmask_at(query.b, query.h, query.i, j)] += ds;
  }
  void add_sink(const Query<T>& query, double probability, double delta) const {
    if (p.dsinks) dsinks[query.h] -= probability * delta;
  }

  void round() const { store(dq, p.dq), store(dk, p.dk), store(dv, p.dv), store(dmask, p.dmask), store(dsinks, p.dsinks); }

 private:
  static void store(const Scratch<double>& sums, void* to) {
    for (int64_t n = 0; to && n < sums.size; n++) store1((T*)to + n, acc_t<T>(sums[n]));
  }
};

}  // namespace
}  // namespace scratchnet
