// The operators of the primitive gelu.
#pragma once
#include "ops.h"
#include "ops/gelu.h"

#define SN_GELU_OPS(X) X(gelu_forward) X(gelu_backward) X(bias_gelu_forward) X(bias_gelu_backward)

namespace scratchnet {
template <class Tensor>
Tensor gelu_forward(Tensor x, bool tanh, int64_t rung) {
  Expect("gelu_forward", "x", x, rung);
  x = in_order(x);
  Tensor y = fresh_like(x);
  gelu_kernels(rung).gelu_forward(on(x), tanh, data(x), out(y), x.numel());
  return y;
}

template <class Tensor>
Tensor gelu_backward(Tensor grad, Tensor x, bool tanh, int64_t rung) {
  const Expect expect("gelu_backward", "x", x, rung);
  expect.shape("grad", grad, all_axes(x));
  grad = in_order(grad), x = in_order(x);
  Tensor dx = fresh_like(x);
  gelu_kernels(rung).gelu_backward(on(x), tanh, data(grad), data(x), out(dx), x.numel());
  return dx;
}

template <class Tensor>
Tensor bias_gelu_forward(Tensor x, Tensor bias, bool tanh, int64_t rung) {
  const Expect expect("bias_gelu_forward", "x", x, rung);
  expect.that(x.dim() > 0, "x must have an axis");
  expect.shape("bias", bias, last_axes(x, 1));
  x = in_order(x), bias = in_order(bias);
  Tensor y = fresh_like(x);
  const int64_t columns = bias.numel(), rows = numel_of(x, 0, x.dim() - 1);
  gelu_kernels(rung).bias_gelu_forward(on(x), tanh, data(x), data(bias), out(y), rows, columns);
  return y;
}

template <class Tensor>
std::tuple<Tensor, Tensor> bias_gelu_backward(Tensor grad, Tensor x, Tensor bias, bool tanh, bool need_x, bool need_bias,
                                              int64_t rung) {
  const Expect expect("bias_gelu_backward", "x", x, rung);
  expect.that(x.dim() > 0, "x must have an axis");
  expect.shape("bias", bias, last_axes(x, 1));
  expect.shape("grad", grad, all_axes(x));
  grad = in_order(grad), x = in_order(x), bias = in_order(bias);
  Tensor dx = need_x ? fresh_like(x) : none(x), dbias = need_bias ? fresh_like(bias) : none(bias);
  const int64_t columns = bias.numel(), rows = numel_of(x, 0, x.dim() - 1);
  gelu_kernels(rung).bias_gelu_backward(on(x), tanh, data(grad), data(x), data(bias), need_x ? out(dx) : nullptr,
                                        need_bias ? out(dbias) : nullptr, rows, columns);
  return {dx, dbias};
}

}  // namespace scratchnet
