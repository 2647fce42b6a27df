// The recurrent layers: products over all rows around the walk through the steps. Narrow types are computed in float32.
#pragma once
#include <string.h>

#include "matmul_ops.h"
#include "ops/recurrence.h"

#define SN_RECURRENCE_HOST_OPS(X) X(recurrence_forward) X(recurrence_backward)

namespace scratchnet {

// In order, and at least float32.
template <class Tensor>
Tensor wide(const Tensor& t) {
  return in_order(has_dtype(t, statistics_dtype(t)) ? t : converted(t, statistics_dtype(t)));
}
template <class Tensor>
std::optional<Tensor> wide(const std::optional<Tensor>& t) {
  return t ? std::optional<Tensor>(wide(*t)) : std::nullopt;
}
template <class Tensor>
Tensor narrow(const Tensor& t, const Tensor& like) {
  return has_dtype(t, like.scalar_type()) ? t : converted(t, like.scalar_type());
}
template <class Tensor>
Tensor wide_copy(const Tensor& t) {
  const Tensor from = wide(t), to = fresh_like(from);
  if (from.numel()) memcpy(out(to), data(from), from.numel() * dtype_size(dtype_of(from)));  // memcpy must not get null
  return to;
}

// How many rows of x each step has: B of x (T, B, I), of x (N, I) what batch_sizes (T) says.
template <class Tensor>
std::vector<int64_t> expect_steps(const Expect& expect, const Tensor& x, const std::optional<Tensor>& batch_sizes) {
  expect.that(x.dim() == (batch_sizes ? 2 : 3), "x must have two axes with batch_sizes, and three without");
  if (!batch_sizes) return std::vector<int64_t>(x.size(0), x.size(1));
  expect.index("batch_sizes", *batch_sizes);
  expect.that(batch_sizes->dim() == 1, "batch_sizes must have one axis");
  const Tensor sizes = in_order(*batch_sizes);
  const int64_t* const first = (const int64_t*)data(sizes);
  return {first, first + sizes.numel()};
}

// w_ih (G H, I), w_hh (G H, P), h0 (B, P), c0 (B, H), w_hr (P, H). The rows of the steps, which must outlive the layer, never
// increase, begin with B and sum to those of x.
template <class Tensor>
Layer expect_layer(const Expect& expect, const Tensor& x, const std::vector<int64_t>& steps, const Tensor& w_ih,
                   const Tensor& w_hh, const Tensor& h0, const std::optional<Tensor>& c0, const std::optional<Tensor>& w_hr,
                   int64_t mode, bool reverse) {
  expect.that(0 <= mode && mode <= (int64_t)Mode::gru, "mode must be from 0 to 3");
  Layer layer{(Mode)mode, reverse};
  expect.that(h0.dim() == 2, "h0 must have two axes");
  expect.that(w_hh.dim() == 2, "w_hh must have two axes");
  expect.that((layer.mode == Mode::lstm) == c0.has_value(), "c0 must be given for an LSTM, and for nothing else");
  expect.that(layer.mode == Mode::lstm || !w_hr, "w_hr must be given for an LSTM alone");
  expect.that(!w_hr || (w_hr->dim() == 2 && w_hr->size(0) > 0), "w_hr must have two axes, and a row");
  layer.batch = h0.size(0), layer.state = h0.size(1), layer.hidden = w_hr ? w_hr->size(1) : layer.state;
  const int64_t c0_sizes[] = {layer.batch, layer.hidden}, w_hr_sizes[] = {layer.state, layer.hidden};
  expect.shape("h0", h0, {layer.batch, layer.state});
  expect.shape("w_hr", w_hr, Shape{w_hr_sizes, 2});
  expect.shape("w_hh", w_hh, {layer.gates(), layer.state});
  expect.shape("w_ih", w_ih, {layer.gates(), x.size(x.dim() - 1)});
  expect.shape("c0", c0, Shape{c0_sizes, 2});
  expect.that(!steps.empty(), "x must have a step");
  layer.steps = steps.size(), layer.batch_sizes = steps.data();
  int64_t rows = 0, most = layer.batch;
  for (const int64_t now : steps) {
    expect.that(0 <= now && now <= most, "a step must not have more rows than h0 or the step before");
    rows += most = now;
  }
  expect.that(steps[0] == layer.batch && rows == numel_of(x, 0, x.dim() - 1),
              "the first step must have as many rows as h0, and all steps those of x");
  return layer;
}

// y, h_n, c_n, activations, inner
template <class Tensor>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> recurrence_forward(Tensor x, std::optional<Tensor> batch_sizes, Tensor w_ih,
                                                                      Tensor w_hh, std::optional<Tensor> b_ih,
                                                                      std::optional<Tensor> b_hh, Tensor h0,
                                                                      std::optional<Tensor> c0, std::optional<Tensor> w_hr,
                                                                      int64_t mode, bool reverse, int64_t rung) {
  const Expect expect("recurrence_forward", "x", x, rung);
  const std::vector<int64_t> steps = expect_steps(expect, x, batch_sizes);
  Layer layer = expect_layer(expect, x, steps, w_ih, w_hh, h0, c0, w_hr, mode, reverse);
  expect.shape("b_ih", b_ih, first_axes(w_hh, 1)), expect.shape("b_hh", b_hh, first_axes(w_hh, 1));
  const Tensor like = x;
  x = wide(x), w_ih = wide(w_ih), w_hh = wide(w_hh), b_ih = wide(b_ih), b_hh = wide(b_hh), w_hr = wide(w_hr);
  std::vector<int64_t> sizes = sizes_of(x);
  sizes.back() = layer.state;
  const int64_t rows = numel_of(x, 0, x.dim() - 1), gates = layer.gates();
  const bool has_inner = layer.mode == Mode::lstm || layer.mode == Mode::gru;
  const auto dtype = x.scalar_type();
  Tensor u = fresh<Tensor>({rows, gates}, dtype), inner = fresh<Tensor>({rows, has_inner ? layer.hidden : 0}, dtype);
  Tensor y = fresh<Tensor>(sizes, dtype), h = wide_copy(h0), c = c0 ? wide_copy(*c0) : none(x);
  products(rung, recurrence_rungs)
      .product(on(x), {rows, gates, x.size(x.dim() - 1)}, rows_of(x), matrix_of(w_ih).transposed(),
               {out(u), nullptr, data(b_ih)});
  layer.w_hh = data(w_hh), layer.b_hh = data(b_hh), layer.w_hr = data(w_hr);
  recurrence_kernels(rung).forward(on(x), layer, {out(u), out(inner), out(y), out(h), out(c)});
  return {narrow(y, like), narrow(h, like), narrow(c, like), u, inner};
}

// Gradients of x, w_ih, w_hh, b_ih, b_hh, h0, c0, w_hr
template <class Tensor>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> recurrence_backward(
    Tensor grad_y, Tensor grad_h_n, Tensor grad_c_n, Tensor x, std::optional<Tensor> batch_sizes, Tensor w_ih, Tensor w_hh,
    Tensor h0, std::optional<Tensor> c0, std::optional<Tensor> w_hr, Tensor y, Tensor activations, Tensor inner, int64_t mode,
    bool reverse, bool need_x, bool need_w_ih, bool need_w_hh, bool need_b_ih, bool need_b_hh, bool need_h0, bool need_c0,
    bool need_w_hr, int64_t rung) {
  const Expect expect("recurrence_backward", "x", x, rung);
  const std::vector<int64_t> steps = expect_steps(expect, x, batch_sizes);
  Layer layer = expect_layer(expect, x, steps, w_ih, w_hh, h0, c0, w_hr, mode, reverse);
  const int64_t rows = numel_of(x, 0, x.dim() - 1), gates = layer.gates();
  const bool gru = layer.mode == Mode::gru, has_inner = gru || layer.mode == Mode::lstm;
  const DType saved = expect.dtype == DType::f64 ? DType::f64 : DType::f32;
  expect.shape("grad_y", grad_y, x, x.dim() - 1, layer.state), expect.shape("grad_h_n", grad_h_n, all_axes(h0));
  if (c0) expect.shape("grad_c_n", grad_c_n, all_axes(*c0));
  expect.type("grad_c_n", grad_c_n);
  expect.shape("y", y, x, x.dim() - 1, layer.state);
  expect.numel("activations", activations, rows * gates, saved);
  expect.numel("inner", inner, has_inner ? rows * layer.hidden : 0, saved);
  expect.that(!need_c0 || c0, "c0 has no gradient: it is not given"),
      expect.that(!need_w_hr || w_hr, "w_hr has no gradient: it is not given");

  const Tensor like = x;
  x = wide(x), w_ih = wide(w_ih), w_hh = wide(w_hh), h0 = wide(h0), c0 = wide(c0), w_hr = wide(w_hr);
  grad_y = wide(grad_y), y = wide(y), activations = in_order(activations), inner = in_order(inner);
  const auto scalar = x.scalar_type();
  Tensor dh = wide_copy(grad_h_n), dc = wide_copy(grad_c_n), du = fresh<Tensor>({rows, gates}, scalar);
  Tensor dv = gru ? fresh_like(du) : du, before = fresh<Tensor>({rows, layer.state}, scalar);
  Tensor m = w_hr ? fresh<Tensor>({rows, layer.hidden}, scalar) : none(x), dy = w_hr ? fresh_like(before) : none(x);
  layer.w_hh = data(w_hh), layer.w_hr = data(w_hr);
  recurrence_kernels(rung).backward(
      on(x), layer,
      {data(grad_y), data(y), data(activations), data(inner), data(h0), data(c0), out(dh), out(dc), out(du), out(dv),
       out(before), w_hr ? out(m) : nullptr, w_hr ? out(dy) : nullptr});

  const MatmulKernels& kernels = products(rung, recurrence_rungs);
  const auto weight_gradient = [&](bool need, const Tensor& d, const Tensor& input) {  // d^T input
    if (!need) return none(like);
    const int64_t columns = input.size(input.dim() - 1);
    Tensor dw = fresh<Tensor>({d.size(1), columns}, scalar);
    kernels.product(on(x), {d.size(1), columns, rows}, rows_of(d).transposed(), rows_of(input), {out(dw)});
    return narrow(dw, like);
  };
  const auto bias_gradient = [&](bool need, const Tensor& d) {
    if (!need) return none(like);
    Tensor db = fresh<Tensor>({gates}, scalar);
    kernels.activation_backward(on(x), data(d), nullptr, nullptr, out(db), rows, gates, Activation::none);
    return narrow(db, like);
  };
  Tensor dx = need_x ? fresh_like(x) : none(x);
  if (need_x) kernels.product(on(x), {rows, x.size(x.dim() - 1), gates}, rows_of(du), matrix_of(w_ih), {out(dx)});
  return {narrow(dx, like),
          weight_gradient(need_w_ih, du, x),
          weight_gradient(need_w_hh, dv, before),
          bias_gradient(need_b_ih, du),
          bias_gradient(need_b_hh, dv),
          need_h0 ? narrow(dh, like) : none(like),
          need_c0 ? narrow(dc, like) : none(like),
          weight_gradient(need_w_hr, dy, m)};
}

}  // namespace scratchnet
