// The operators of the primitive attention.
#pragma once
#include "ops.h"
#include "ops/attention.h"

#define SN_ATTENTION_OPS(X) X(attention_forward) X(attention_backward)

namespace scratchnet {

// The strides of a tensor of four axes as kernels want them: 0 along an axis that is broadcast.
template <class Tensor>
Heads heads_of(const Tensor& t) {
  const auto step = [&](int64_t axis) { return t.size(axis) == 1 ? 0 : t.stride(axis); };
  return {data(t), step(0), step(1), step(2), step(3)};
}

// What both directions expect of their arguments, and the description that kernels take.
template <class Tensor>
Attention attention_of(const Expect& expect, const Tensor& q, const Tensor& k, const Tensor& v,
                       const std::optional<Tensor>& mask, const std::optional<Tensor>& sinks, const std::optional<Tensor>& seed,
                       int64_t left, int64_t right, double scale, double softcap, double dropout) {
  expect.type("k", k), expect.type("v", v);
  expect.that(q.dim() == 4 && k.dim() == 4 && v.dim() == 4, "q, k and v must have four axes, (batch, head, row, column)");
  expect.that(k.size(0) == q.size(0) && v.size(0) == q.size(0), "q, k and v must have the same number of batches");
  expect.that(k.size(1) == v.size(1) && (q.size(1) == 0 || (k.size(1) > 0 && q.size(1) % k.size(1) == 0)),
              "k and v must have the same number of heads, which divides that of q");
  expect.that(k.size(3) == q.size(3), "q and k must have the same head size");
  expect.that(v.size(2) == k.size(2), "k and v must have the same number of rows");
  expect.that(left >= 0 && right >= 0 && left < INT64_MAX / 4 && right < INT64_MAX / 4, "left and right must not be negative");
  expect.that(0 <= dropout && dropout <= 1 && (seed || dropout == 0), "dropout must be from 0 to 1, and needs a seed");
  Attention p = {.batches = q.size(0),
                 .heads = q.size(1),
                 .groups = k.size(1),
                 .queries = q.size(2),
                 .keys = k.size(2),
                 .size = q.size(3),
                 .value_size = v.size(3),
                 .q = heads_of(q),
                 .k = heads_of(k),
                 .v = heads_of(v),
                 .mask = {},
                 .boolean = false,
                 .sinks = data(sinks),
                 .seed = nullptr,
                 .left = left,
                 .right = right,
                 .scale = scale,
                 .softcap = softcap,
                 .dropout = dropout};
  if (mask) {
    p.boolean = is_bool(*mask);
    if (!p.boolean) expect.type("mask", *mask);
    const int64_t sizes[] = {p.batches, p.heads, p.queries, p.keys};
    bool fits = mask->dim() == 4;
    for (int64_t d = 0; fits && d < 4; d++) fits = mask->size(d) == 1 || mask->size(d) == sizes[d];
    expect.that(fits, "mask must have four axes, each of size 1 or that of the scores (batch, head, query, key)");
    p.mask = heads_of(*mask);
  }
  if (sinks) expect.shape("sinks", *sinks, {p.heads});
  if (seed) {
    expect.index("seed", *seed);
    expect.that(seed->dim() == 0, "seed must be one number, without axes");
    if (dropout > 0) p.seed = (const int64_t*)data(*seed);
  }
  return p;
}

template <class Tensor>
std::tuple<Tensor, Tensor> attention_forward(Tensor q, Tensor k, Tensor v, std::optional<Tensor> mask,
                                             std::optional<Tensor> sinks, std::optional<Tensor> seed, int64_t left,
                                             int64_t right, double scale, double softcap, double dropout, int64_t rung) {
  const Expect expect("attention_forward", "q", q, rung);
  sinks = in_order(sinks);
  const Attention p = attention_of(expect, q, k, v, mask, sinks, seed, left, right, scale, softcap, dropout);
  Tensor y = fresh<Tensor>({p.batches, p.queries, p.heads, p.value_size}, q.scalar_type());
  Tensor lse = fresh<Tensor>({p.batches, p.heads, p.queries}, double_dtype<Tensor>());
  attention_kernels(rung).forward(on(q), {p, out(y), (double*)out(lse)});
  return {y, lse};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> attention_backward(Tensor grad, Tensor q, Tensor k, Tensor v,
                                                                      std::optional<Tensor> mask, std::optional<Tensor> sinks,
                                                                      std::optional<Tensor> seed, Tensor y, Tensor lse,
                                                                      int64_t left, int64_t right, double scale, double softcap,
                                                                      double dropout, bool need_q, bool need_k, bool need_v,
                                                                      bool need_mask, bool need_sinks, int64_t rung) {
  const Expect expect("attention_backward", "q", q, rung);
  sinks = in_order(sinks);
  const Attention p = attention_of(expect, q, k, v, mask, sinks, seed, left, right, scale, softcap, dropout);
  expect.shape("grad", grad, {p.batches, p.queries, p.heads, p.value_size});
  expect.shape("y", y, {p.batches, p.queries, p.heads, p.value_size});
  expect.shape("lse", lse, {p.batches, p.heads, p.queries}, DType::f64);
  expect.that(!need_mask || (mask && !p.boolean), "mask must hold floats to have a gradient");
  expect.that(!need_sinks || sinks, "sinks must be given to have a gradient");
  y = in_order(y), lse = in_order(lse);
  Tensor dq = need_q ? fresh_like(q) : none(q), dk = need_k ? fresh_like(k) : none(q), dv = need_v ? fresh_like(v) : none(q);
  Tensor dmask = need_mask ? fresh_like(*mask) : none(q), dsinks = need_sinks ? fresh_like(*sinks) : none(q);
  const Heads g = heads_of(grad);
  AttentionBackward from = {
      p, {g.data, g.batch, g.row, g.head, g.column}, data(y), (const double*)data(lse)};  // grad is laid out as y is
  from.dq = need_q ? out(dq) : nullptr, from.dk = need_k ? out(dk) : nullptr, from.dv = need_v ? out(dv) : nullptr;
  from.dmask = need_mask ? out(dmask) : nullptr, from.dsinks = need_sinks ? out(dsinks) : nullptr;
  for (int64_t d = 0; d < 4; d++) from.mask_sizes[d] = need_mask ? mask->size(d) : 1;
  attention_kernels(rung).backward(on(q), from);
  return {dq, dk, dv, dmask, dsinks};
}

}  // namespace scratchnet
