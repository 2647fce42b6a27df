// Dropout, of the family of layer_norm.
#pragma once
#include "ops.h"
#include "ops/dropout.h"

#define SN_DROPOUT_OPS(X) X(dropout_forward) X(dropout_backward)

namespace scratchnet {

template <class Tensor>
Tensor dropped(const Expect& expect, Tensor x, std::optional<Tensor> residual, const Tensor& seed, double p, int64_t rung) {
  expect.index("seed", seed);
  expect.that(seed.dim() == 0, "seed must be one number, without axes");
  expect.that(0 <= p && p <= 1, "p must be from 0 to 1");
  expect.shape("residual", residual, all_axes(x));
  x = in_order(x), residual = in_order(residual);
  Tensor y = fresh_like(x);
  dropout_kernels(rung).apply(on(x), data(x), data(residual), out(y), x.numel(), p, (const int64_t*)data(seed));
  return y;
}

template <class Tensor>
Tensor dropout_forward(Tensor x, std::optional<Tensor> residual, Tensor seed, double p, int64_t rung) {
  return dropped(Expect("dropout_forward", "x", x, rung), x, residual, seed, p, rung);
}

template <class Tensor>
Tensor dropout_backward(Tensor grad, Tensor seed, double p, int64_t rung) {
  return dropped<Tensor>(Expect("dropout_backward", "grad", grad, rung), grad, std::nullopt, seed, p, rung);
}

}  // namespace scratchnet
