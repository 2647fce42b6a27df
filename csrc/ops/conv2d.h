// Convolution: every output is the product of a filter with the window of the image that lies over it.
//
//   y[n, f, Y, X] = bias[f] + sum over c, i, j of weight[f, c, i, j] x[n, c, Y s - p + i d, X s - p + j d]     x is 0 outside
//
// with stride s, padding p and dilation d of each axis. With all windows as the columns of one matrix ("unfolded") it is a
// matrix product, and so are its gradients: dweight = dy unfold(x)^T, dx = fold(weight^T dy).
#pragma once
#include "ops/table.h"

namespace scratchnet {

// [0] is the vertical axis, [1] the horizontal one. Group g's filters see group g's channels alone.
struct Conv2dSizes {
  int64_t batch, groups, channels, filters;  // channels and filters of one group
  int64_t in[2], kernel[2], out[2], stride[2], padding[2], dilation[2];
};

// All tensors lie in order: x (batch, groups * channels, in), weight (groups * filters, channels, kernel), y and grad
// (batch, groups * filters, out), bias (groups * filters). bias may be null, and so may any of the gradients.
struct Conv2dKernels {
  void (*forward)(const On&, const Conv2dSizes&, const void* x, const void* weight, const void* bias, void* y);
  void (*backward)(const On&, const Conv2dSizes&, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
                   void* dbias);
};

const Conv2dKernels& conv2d_kernels(int64_t rung);

}  // namespace scratchnet
