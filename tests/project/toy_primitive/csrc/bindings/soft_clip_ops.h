// The operators of the primitive soft_clip.
#pragma once
#include "ops.h"
#include "ops/soft_clip.h"

#define SN_SOFT_CLIP_OPS(X) X(soft_clip_forward) X(soft_clip_backward)

namespace scratchnet {

template <class Tensor>
Tensor soft_clip_forward(Tensor x, double limit, int64_t rung) {
  const Expect expect("soft_clip_forward", "x", x, rung);
  x = in_order(x);
  Tensor y = fresh_like(x);
  soft_clip_kernels(rung).forward(on(x), data(x), out(y), x.numel(), limit);
  return y;
}

template <class Tensor>
Tensor soft_clip_backward(Tensor grad, Tensor x, double limit, int64_t rung) {
  const Expect expect("soft_clip_backward", "x", x, rung);
  expect.shape("grad", grad, all_axes(x));
  grad = in_order(grad), x = in_order(x);
  Tensor dx = fresh_like(x);
  soft_clip_kernels(rung).backward(on(x), data(grad), data(x), out(dx), x.numel(), limit);
  return dx;
}

}  // namespace scratchnet
