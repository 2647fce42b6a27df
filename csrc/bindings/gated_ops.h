// The gated units of the primitive gelu.
#pragma once
#include "ops.h"
#include "ops/gated.h"

#define SN_SELF_GATED_OPS(X) \
  X(silu_forward) X(silu_backward) X(quick_gelu_forward) X(quick_gelu_backward) X(squared_relu_forward) X(squared_relu_backward)
#define SN_GATED_OPS(X) X(glu_forward) X(glu_backward) X(geglu_forward) X(geglu_backward) X(gated_forward) X(gated_backward)

namespace scratchnet {

template <class Tensor>
Tensor self_forward(const char* op, Activation activation, Tensor x, int64_t rung) {
  Expect(op, "x", x, rung);
  x = in_order(x);
  Tensor y = fresh_like(x);
  gated_kernels(rung).forward(on(x), activation, data(x), out(y), x.numel());
  return y;
}

template <class Tensor>
Tensor self_backward(const char* op, Activation activation, Tensor grad, Tensor x, int64_t rung) {
  const Expect expect(op, "x", x, rung);
  expect.shape("grad", grad, all_axes(x));
  grad = in_order(grad), x = in_order(x);
  Tensor dx = fresh_like(x);
  gated_kernels(rung).backward(on(x), activation, data(grad), data(x), out(dx), x.numel());
  return dx;
}

template <class Tensor>
Tensor silu_forward(Tensor x, int64_t rung) {
  return self_forward("silu_forward", Activation::silu, x, rung);
}
template <class Tensor>
Tensor silu_backward(Tensor grad, Tensor x, int64_t rung) {
  return self_backward("silu_backward", Activation::silu, grad, x, rung);
}
template <class Tensor>
Tensor quick_gelu_forward(Tensor x, int64_t rung) {
  return self_forward("quick_gelu_forward", Activation::quick_gelu, x, rung);
}
template <class Tensor>
Tensor quick_gelu_backward(Tensor grad, Tensor x, int64_t rung) {
  return self_backward("quick_gelu_backward", Activation::quick_gelu, grad, x, rung);
}
template <class Tensor>
Tensor squared_relu_forward(Tensor x, int64_t rung) {
  return self_forward("squared_relu_forward", Activation::squared_relu, x, rung);
}
template <class Tensor>
Tensor squared_relu_backward(Tensor grad, Tensor x, int64_t rung) {
  return self_backward("squared_relu_backward", Activation::squared_relu, grad, x, rung);
}

// ---- Two tensors, or the halves of one ---------------------------------------------------------------------------------

inline Activation gate_function(const Expect& expect, int64_t activation) {
  expect.that((int64_t)Activation::relu <= activation && activation <= (int64_t)Activation::tanh,
              "activation must be from 1 to 6");
  return (Activation)activation;
}

// x (..., 2 n, ...) along dim seen as (outer, 2, inner): where its halves begin.
struct Halves {
  int64_t outer, inner, gate, value;  // sizes in elements, offsets in bytes

  template <class Tensor>
  Halves(const Expect& expect, const Tensor& x, int64_t dim, bool gate_first) {
    expect.that(x.size(dim) % 2 == 0, "x must have an even size along dim");
    outer = numel_of(x, 0, dim), inner = x.size(dim) / 2 * numel_of(x, dim + 1, x.dim());
    const int64_t second = inner * dtype_size(expect.dtype);
    gate = gate_first ? 0 : second, value = second - gate;
  }
};

template <class Tensor>
Tensor halves_forward(const char* op, Tensor x, int64_t dim, int64_t activation, bool gate_first, int64_t rung) {
  const Expect expect(op, "x", x, rung);
  const Activation act = gate_function(expect, activation);
  dim = expect.axis(x, dim);
  const Halves half(expect, x, dim, gate_first);
  x = in_order(x);
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  sizes[dim] /= 2;
  Tensor y = fresh<Tensor>(sizes, x.scalar_type());
  const char* p = (const char*)data(x);
  gated_kernels(rung).gated_forward(on(x), act, p + half.gate, p + half.value, out(y), half.outer, half.inner, 2 * half.inner);
  return y;
}

template <class Tensor>
Tensor halves_backward(const char* op, Tensor grad, Tensor x, int64_t dim, int64_t activation, bool gate_first, int64_t rung) {
  const Expect expect(op, "x", x, rung);
  const Activation act = gate_function(expect, activation);
  dim = expect.axis(x, dim);
  const Halves half(expect, x, dim, gate_first);
  expect.shape("grad", grad, x, dim, x.size(dim) / 2);
  grad = in_order(grad), x = in_order(x);
  Tensor dx = fresh_like(x);
  const char* p = (const char*)data(x);
  char* d = (char*)out(dx);
  gated_kernels(rung).gated_backward(on(x), act, data(grad), p + half.gate, p + half.value, d + half.gate, d + half.value,
                                     half.outer, half.inner, 2 * half.inner);
  return dx;
}

template <class Tensor>
Tensor glu_forward(Tensor x, int64_t dim, int64_t activation, bool gate_first, int64_t rung) {
  return halves_forward("glu_forward", x, dim, activation, gate_first, rung);
}
template <class Tensor>
Tensor glu_backward(Tensor grad, Tensor x, int64_t dim, int64_t activation, bool gate_first, int64_t rung) {
  return halves_backward("glu_backward", grad, x, dim, activation, gate_first, rung);
}

template <class Tensor>
Tensor geglu_forward(Tensor x, int64_t dim, bool tanh, int64_t rung) {
  return halves_forward("geglu_forward", x, dim, (int64_t)(tanh ? Activation::gelu_tanh : Activation::gelu), false, rung);
}
template <class Tensor>
Tensor geglu_backward(Tensor grad, Tensor x, int64_t dim, bool tanh, int64_t rung) {
  const auto activation = tanh ? Activation::gelu_tanh : Activation::gelu;
  return halves_backward("geglu_backward", grad, x, dim, (int64_t)activation, false, rung);
}

template <class Tensor>
Tensor gated_forward(Tensor gate, Tensor value, int64_t activation, int64_t rung) {
  const Expect expect("gated_forward", "gate", gate, rung);
  const Activation act = gate_function(expect, activation);
  expect.shape("value", value, all_axes(gate));
  gate = in_order(gate), value = in_order(value);
  Tensor y = fresh_like(gate);
  const int64_t n = gate.numel();
  gated_kernels(rung).gated_forward(on(gate), act, data(gate), data(value), out(y), 1, n, n);
  return y;
}

template <class Tensor>
std::tuple<Tensor, Tensor> gated_backward(Tensor grad, Tensor gate, Tensor value, int64_t activation, bool need_gate,
                                          bool need_value, int64_t rung) {
  const Expect expect("gated_backward", "gate", gate, rung);
  const Activation act = gate_function(expect, activation);
  expect.shape("value", value, all_axes(gate));
  expect.shape("grad", grad, all_axes(gate));
  grad = in_order(grad), gate = in_order(gate), value = in_order(value);
  Tensor dgate = need_gate ? fresh_like(gate) : none(gate), dvalue = need_value ? fresh_like(value) : none(value);
  const int64_t n = gate.numel();
  gated_kernels(rung).gated_backward(on(gate), act, data(grad), data(gate), data(value), need_gate ? out(dgate) : nullptr,
                                     need_value ? out(dvalue) : nullptr, 1, n, n);
  return {dgate, dvalue};
}

}  // namespace scratchnet
