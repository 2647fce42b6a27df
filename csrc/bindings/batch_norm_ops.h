// The operators of batch_norm.
#pragma once
#include "layer_norm_ops.h"
#include "ops/batch_norm.h"

#define SN_BATCH_NORM_HOST_OPS(X) X(batch_norm_forward) X(batch_norm_backward)

namespace scratchnet {

// One number for each channel of x (images, channels, ...)
template <class Tensor, class Dtype>
Tensor fresh_channel(const Tensor& x, Dtype dtype) {
  return fresh<Tensor>(std::vector<int64_t>{x.size(1)}, dtype);
}

template <class Tensor>
void expect_channels(const Expect& expect, const Tensor& x, const std::optional<Tensor>& weight,
                     const std::optional<Tensor>& bias = std::nullopt) {
  expect.that(x.dim() >= 2, "x must have the axes images, channels, ...");
  const Shape channels{x.sizes().data() + 1, 1};
  expect.shape("weight", weight, channels);
  expect.shape("bias", bias, channels);
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> batch_norm_forward(Tensor x, std::optional<Tensor> weight, std::optional<Tensor> bias,
                                                      std::optional<Tensor> running_mean, std::optional<Tensor> running_var,
                                                      bool training, double eps, int64_t rung) {
  const Expect expect("batch_norm_forward", "x", x, rung);
  expect_channels(expect, x, weight, bias);
  expect.that(running_mean.has_value() != training && running_var.has_value() != training,
              "running_mean and running_var must come together, and not with training");
  expect.shape("running_mean", running_mean, Shape{x.sizes().data() + 1, 1});
  expect.shape("running_var", running_var, Shape{x.sizes().data() + 1, 1});
  x = in_order(x), weight = in_order(weight), bias = in_order(bias);
  running_mean = in_order(running_mean), running_var = in_order(running_var);
  Tensor y = fresh_like(x), mean = fresh_channel(x, statistics_dtype(x)), var = fresh_channel(x, statistics_dtype(x));
  batch_norm_kernels(rung).forward(on(x), {.x = data(x),
                                           .weight = data(weight),
                                           .bias = data(bias),
                                           .running_mean = data(running_mean),
                                           .running_var = data(running_var),
                                           .y = out(y),
                                           .mean = out(mean),
                                           .var = out(var),
                                           .images = x.size(0),
                                           .channels = x.size(1),
                                           .positions = numel_of(x, 2, x.dim()),
                                           .eps = eps});
  return {y, mean, var};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> batch_norm_backward(Tensor grad, Tensor x, std::optional<Tensor> weight, Tensor mean,
                                                       Tensor var, bool training, double eps, bool need_x, bool need_weight,
                                                       bool need_bias, int64_t rung) {
  const Expect expect("batch_norm_backward", "x", x, rung);
  expect_channels(expect, x, weight);
  expect.shape("grad", grad, all_axes(x));
  const DType type = expect.dtype == DType::f64 ? DType::f64 : DType::f32;
  expect.shape("mean", mean, {x.size(1)}, type);
  expect.shape("var", var, {x.size(1)}, type);
  grad = in_order(grad), x = in_order(x), weight = in_order(weight), mean = in_order(mean), var = in_order(var);
  Tensor dx = need_x ? fresh_like(x) : none(x);
  Tensor dweight = need_weight ? fresh_channel(x, x.scalar_type()) : none(x);
  Tensor dbias = need_bias ? fresh_channel(x, x.scalar_type()) : none(x);
  batch_norm_kernels(rung).backward(on(x), {.grad = data(grad),
                                            .x = data(x),
                                            .weight = data(weight),
                                            .mean = data(mean),
                                            .var = data(var),
                                            .training = training,
                                            .dx = out_if(dx, need_x),
                                            .dweight = out_if(dweight, need_weight),
                                            .dbias = out_if(dbias, need_bias),
                                            .images = x.size(0),
                                            .channels = x.size(1),
                                            .positions = numel_of(x, 2, x.dim()),
                                            .eps = eps});
  return {dx, dweight, dbias};
}

}  // namespace scratchnet
