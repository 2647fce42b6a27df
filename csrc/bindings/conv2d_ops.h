// The operator conv2d.
#pragma once
#include "ops.h"
#include "ops/conv2d.h"

#define SN_CONV2D_HOST_OPS(X) X(conv2d_forward) X(conv2d_backward)

namespace scratchnet {

using Pair = std::vector<int64_t>;  // of the vertical and the horizontal axis

// x (N, groups * channels, H, W), weight (groups * filters, channels, kh, kw)
template <class Tensor>
Conv2dSizes expect_conv2d(const Expect& expect, const Tensor& x, const Tensor& weight, const Pair& stride, const Pair& padding,
                          const Pair& dilation, int64_t groups) {
  expect.that(x.dim() == 4, "x must have four axes, (N, C, H, W)");
  expect.that(weight.dim() == 4, "weight must have four axes, (filters, channels of a group, kernel height, kernel width)");
  expect.type("weight", weight);
  expect.that(groups > 0 && weight.size(0) % groups == 0, "groups must divide the filters of weight");
  expect.that(x.size(1) == weight.size(1) * groups, "x must have as many channels as weight, times groups");
  expect.that(stride.size() == 2 && padding.size() == 2 && dilation.size() == 2, "stride, padding, dilation must be two each");
  Conv2dSizes size{x.size(0), groups, weight.size(1), weight.size(0) / groups};
  for (int axis = 0; axis < 2; axis++) {
    constexpr int64_t MOST = int64_t(1) << 61;  // twice as much still fits into 64 bits
    expect.that(stride[axis] > 0 && padding[axis] >= 0 && dilation[axis] > 0,
                "stride and dilation must be positive, padding must not be negative");
    size.in[axis] = x.size(2 + axis), size.kernel[axis] = weight.size(2 + axis);
    expect.that(padding[axis] < MOST && size.in[axis] < MOST, "padding and the image must be smaller than 2^61");
    int64_t reach;
    const bool fits = multiplied(reach, dilation[axis], size.kernel[axis] - 1);
    const int64_t room = fits ? size.in[axis] + 2 * padding[axis] - 1 - reach : -1;
    expect.that(size.kernel[axis] > 0 && room >= 0, "the kernel must not be empty, nor larger than the padded image");
    size.padding[axis] = padding[axis];
    // Where a stride or a dilation is never taken, it is as good as 1; kernels compute with both.
    size.stride[axis] = min(stride[axis], room + 1), size.dilation[axis] = size.kernel[axis] > 1 ? dilation[axis] : 1;
    size.out[axis] = room / stride[axis] + 1;
  }
  return size;
}

template <class Tensor>
Tensor conv2d_forward(Tensor x, Tensor weight, std::optional<Tensor> bias, Pair stride, Pair padding, Pair dilation,
                      int64_t groups, int64_t rung) {
  const Expect expect("conv2d_forward", "x", x, rung);
  const Conv2dSizes size = expect_conv2d(expect, x, weight, stride, padding, dilation, groups);
  expect.shape("bias", bias, first_axes(weight, 1));
  x = in_order(x), weight = in_order(weight), bias = in_order(bias);
  Tensor y = fresh<Tensor>({x.size(0), weight.size(0), size.out[0], size.out[1]}, x.scalar_type());
  conv2d_kernels(rung).forward(on(x), size, data(x), data(weight), data(bias), out(y));
  return y;
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> conv2d_backward(Tensor grad, Tensor x, Tensor weight, Pair stride, Pair padding,
                                                   Pair dilation, int64_t groups, bool need_x, bool need_weight, bool need_bias,
                                                   int64_t rung) {
  const Expect expect("conv2d_backward", "x", x, rung);
  const Conv2dSizes size = expect_conv2d(expect, x, weight, stride, padding, dilation, groups);
  expect.shape("grad", grad, {x.size(0), weight.size(0), size.out[0], size.out[1]});
  grad = in_order(grad), x = in_order(x), weight = in_order(weight);
  const int64_t filters = weight.size(0);
  Tensor dx = need_x ? fresh_like(x) : none(x), dweight = need_weight ? fresh_like(weight) : none(x);
  Tensor dbias = need_bias ? fresh<Tensor>(&filters, 1, x.scalar_type()) : none(x);
  conv2d_kernels(rung).backward(on(x), size, data(grad), data(x), data(weight), need_x ? out(dx) : nullptr,
                                need_weight ? out(dweight) : nullptr, need_bias ? out(dbias) : nullptr);
  return {dx, dweight, dbias};
}

}  // namespace scratchnet
