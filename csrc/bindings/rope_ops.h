// The operators of the primitive rope.
#pragma once
#include <stdexcept>
#include <string>

#include "ops.h"
#include "ops/rope.h"

#define SN_ROPE_OPS(X) X(rope_forward) X(rope_backward)

namespace scratchnet {

// Strides of x and y, whose axes are batch, heads and tokens in this order, or tokens first if `heads` is 2.
template <class Tensor>
RopeHeads rope_heads(const Tensor& x, const Tensor& y, int64_t heads, bool needed) {
  const int64_t tokens = 3 - heads;
  return {.x = data(x),
          .y = needed ? out(y) : nullptr,
          .heads = x.size(heads),
          .x_batch = x.stride(0),
          .x_head = x.stride(heads),
          .x_token = x.stride(tokens),
          .y_batch = y.dim() == 4 ? y.stride(0) : 0,
          .y_head = y.dim() == 4 ? y.stride(heads) : 0,
          .y_token = y.dim() == 4 ? y.stride(tokens) : 0};
}

// Neighbours along the last axis, the other strides are kept.
template <class Tensor>
Tensor with_rows(const Tensor& t) {
  const int64_t last = t.dim() - 1;
  return t.size(last) < 2 || t.stride(last) == 1 ? t : copy_in_order(t);
}

// q and k, or their gradients, turned forward or back. Cosines and sines may have the type of q, or the one that is computed
// in.
template <class Tensor>
std::tuple<Tensor, Tensor> rotated(const char* op, Tensor q, Tensor k, Tensor cos, Tensor sin,
                                   const std::optional<Tensor>& positions, int64_t heads, bool interleaved, bool inverse,
                                   bool need_q, bool need_k, int64_t rung) {
  const char *q_name = inverse ? "grad_q_out" : "q", *k_name = inverse ? "grad_k_out" : "k";
  const Expect expect(op, q_name, q, rung);
  expect.that(q.dim() == 4, "the query must have four axes");
  expect.that(heads == 1 || heads == 2, "unsqueeze_dim must be 1 or 2");
  expect.shape(k_name, k, q, heads, k.dim() == 4 ? k.size(heads) : 0);
  const int64_t batch = q.size(0), tokens = q.size(3 - heads), columns = q.size(3);
  const int64_t rotary = cos.dim() ? cos.size(cos.dim() - 1) : 0, rows = cos.dim() ? cos.size(0) : 0;
  const DType wide = expect.dtype == DType::f64 ? DType::f64 : DType::f32;
  const DType type = holds(cos, wide) ? wide : expect.dtype;
  if (positions) {
    expect.index("positions", *positions);
    expect.that(
        positions->dim() == 2 && (positions->size(0) == 1 || positions->size(0) == batch) && positions->size(1) == tokens,
        "positions must have one row, or one for each of the batch, and as many columns as there are tokens");
    expect.shape("cos", cos, {rows, rotary}, type);
  } else {
    expect.shape("cos", cos, {rows == 1 ? 1 : batch, tokens, rotary}, type);
  }
  expect.shape("sin", sin, all_axes(cos), type);
  expect.that(rotary % 2 == 0 && rotary <= columns, "cos must have an even last size that is at most q's");

  if (type != wide) cos = converted(cos, statistics_dtype(q)), sin = converted(sin, statistics_dtype(q));
  q = with_rows(q), k = with_rows(k), cos = with_rows(cos), sin = with_rows(sin);
  Tensor q_out = need_q ? fresh_like(q) : none(q), k_out = need_k ? fresh_like(k) : none(k);
  const auto table = [&](const Tensor& t) {
    const bool shared = positions || t.size(0) == 1;
    return RopeTable{data(t), shared ? 0 : t.stride(0), t.stride(t.dim() - 2)};
  };
  Rope p = {.part = {rope_heads(q, q_out, heads, need_q), rope_heads(k, k_out, heads, need_k)},
            .cos = table(cos),
            .sin = table(sin),
            .rows = rows,
            .batch = batch,
            .tokens = tokens,
            .columns = columns,
            .rotary = rotary,
            .interleaved = interleaved,
            .inverse = inverse};
  if (positions) {
    p.positions = (const int64_t*)data(*positions);
    p.positions_batch = positions->size(0) == 1 ? 0 : positions->stride(0);
    p.positions_token = positions->stride(1);
  }
  if (!rope_kernels(rung).rotate(on(q), p)) throw std::out_of_range(std::string(op) + "(): a position is out of range");
  return {q_out, k_out};
}

template <class Tensor>
std::tuple<Tensor, Tensor> rope_forward(Tensor q, Tensor k, Tensor cos, Tensor sin, std::optional<Tensor> positions,
                                        int64_t unsqueeze_dim, bool interleaved, int64_t rung) {
  return rotated<Tensor>("rope_forward", q, k, cos, sin, positions, unsqueeze_dim, interleaved, false, true, true, rung);
}

template <class Tensor>
std::tuple<Tensor, Tensor> rope_backward(Tensor grad_q_out, Tensor grad_k_out, Tensor cos, Tensor sin,
                                         std::optional<Tensor> positions, int64_t unsqueeze_dim, bool interleaved, bool need_q,
                                         bool need_k, int64_t rung) {
  return rotated<Tensor>("rope_backward", grad_q_out, grad_k_out, cos, sin, positions, unsqueeze_dim, interleaved, true, need_q,
                         need_k, rung);
}

}  // namespace scratchnet
