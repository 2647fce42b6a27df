// The operators of the primitive layer_norm.
#pragma once
#include "ops.h"
#include "ops/layer_norm.h"

// clang-format off
#define SN_LAYER_NORM_OPS(X)                                                                                      \
  X(layer_norm_forward) X(layer_norm_backward) X(rms_norm_forward) X(rms_norm_backward) X(add_layer_norm_forward) \
  X(add_layer_norm_backward)
// clang-format on

namespace scratchnet {
template <class Tensor>
int64_t rows_of(const Tensor& x, int64_t ndim) {
  return numel_of(x, 0, x.dim() - ndim);
}
template <class Tensor>
int64_t columns_of(const Tensor& x, int64_t ndim) {
  return numel_of(x, x.dim() - ndim, x.dim());
}

// (..., 1 * ndim): one number for each row
template <class Tensor>
Tensor fresh_statistic(const Tensor& x, int64_t ndim) {
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  for (int64_t i = 0; i < ndim; i++) sizes[x.dim() - 1 - i] = 1;
  return fresh<Tensor>(sizes, statistics_dtype(x));
}

// The gradient of weight or bias: the shape of x's last axes
template <class Tensor>
Tensor fresh_column(const Tensor& x, int64_t ndim, bool needed) {
  return needed ? fresh<Tensor>(x.sizes().data() + x.dim() - ndim, ndim, x.scalar_type()) : none(x);
}

// What every operator here expects; weight and bias may be missing.
template <class Tensor>
void expect_norm(const Expect& expect, const Tensor& x, int64_t ndim, const std::optional<Tensor>& weight,
                 const std::optional<Tensor>& bias = std::nullopt) {
  expect.that(0 < ndim && ndim <= x.dim(), "ndim must be from 1 to the number of axes");
  expect.shape("weight", weight, last_axes(x, ndim));
  expect.shape("bias", bias, last_axes(x, ndim));
}
// What the forward pass saved: a number for each row.
template <class Tensor>
void expect_statistic(const Expect& expect, const char* argument, const Tensor& t, const Tensor& x, int64_t ndim) {
  const DType type = expect.dtype == DType::f64 ? DType::f64 : DType::f32;
  expect.numel(argument, t, rows_of(x, ndim), type);
}

template <class Tensor>
void* out_if(const Tensor& t, bool needed) {
  return needed ? out(t) : nullptr;
}

// What is missing is null for the kernel: without residual and total nothing is added, without mean it is RMSNorm.
template <class Tensor>
void norm_forward(Tensor x, std::optional<Tensor> residual, std::optional<Tensor> weight, std::optional<Tensor> bias,
                  const std::optional<Tensor>& total, const Tensor& y, const std::optional<Tensor>& mean, const Tensor& rstd,
                  int64_t ndim, double eps, int64_t rung) {
  x = in_order(x), residual = in_order(residual), weight = in_order(weight), bias = in_order(bias);
  layer_norm_kernels(rung).forward(on(x), {.x = data(x),
                                           .residual = data(residual),
                                           .weight = data(weight),
                                           .bias = data(bias),
                                           .total = total ? out(*total) : nullptr,
                                           .y = out(y),
                                           .mean = mean ? out(*mean) : nullptr,
                                           .rstd = out(rstd),
                                           .rows = rows_of(x, ndim),
                                           .columns = columns_of(x, ndim),
                                           .eps = eps});
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> layer_norm_forward(Tensor x, std::optional<Tensor> weight, std::optional<Tensor> bias,
                                                      int64_t ndim, double eps, int64_t rung) {
  const Expect expect("layer_norm_forward", "x", x, rung);
  expect_norm(expect, x, ndim, weight, bias);
  Tensor y = fresh_like(x), mean = fresh_statistic(x, ndim), rstd = fresh_statistic(x, ndim);
  norm_forward<Tensor>(x, std::nullopt, weight, bias, std::nullopt, y, mean, rstd, ndim, eps, rung);
  return {y, mean, rstd};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> norm_backward(const Expect& expect, const std::optional<Tensor>& grad_total, Tensor grad,
                                                 Tensor x, const std::optional<Tensor>& mean, Tensor rstd,
                                                 std::optional<Tensor> weight, int64_t ndim, bool need_x, bool need_weight,
                                                 bool need_bias, int64_t rung) {
  expect_norm(expect, x, ndim, weight);
  expect.shape(grad_total ? "grad_y" : "grad", grad, all_axes(x));
  expect.shape("grad_total", grad_total, all_axes(x));
  expect_statistic(expect, "rstd", rstd, x, ndim);
  if (mean) expect_statistic(expect, "mean", *mean, x, ndim);
  grad = in_order(grad), x = in_order(x), rstd = in_order(rstd), weight = in_order(weight);
  const std::optional<Tensor> mean_in_order = in_order(mean), grad_total_in_order = in_order(grad_total);
  Tensor dx = need_x ? fresh_like(x) : none(x);
  Tensor dweight = fresh_column(x, ndim, need_weight), dbias = fresh_column(x, ndim, need_bias);
  layer_norm_kernels(rung).backward(on(x), {.grad = data(grad),
                                            .grad_total = data(grad_total_in_order),
                                            .x = data(x),
                                            .mean = data(mean_in_order),
                                            .rstd = data(rstd),
                                            .weight = data(weight),
                                            .dx = out_if(dx, need_x),
                                            .dweight = out_if(dweight, need_weight),
                                            .dbias = out_if(dbias, need_bias),
                                            .rows = rows_of(x, ndim),
                                            .columns = columns_of(x, ndim)});
  return {dx, dweight, dbias};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> layer_norm_backward(Tensor grad, Tensor x, Tensor mean, Tensor rstd,
                                                       std::optional<Tensor> weight, int64_t ndim, double, bool need_x,
                                                       bool need_weight, bool need_bias, int64_t rung) {
  const Expect expect("layer_norm_backward", "x", x, rung);
  return norm_backward<Tensor>(expect, std::nullopt, grad, x, mean, rstd, weight, ndim, need_x, need_weight, need_bias, rung);
}

template <class Tensor>
std::tuple<Tensor, Tensor> rms_norm_forward(Tensor x, std::optional<Tensor> weight, int64_t ndim, double eps, int64_t rung) {
  const Expect expect("rms_norm_forward", "x", x, rung);
  expect_norm(expect, x, ndim, weight);
  Tensor y = fresh_like(x), rstd = fresh_statistic(x, ndim);
  norm_forward<Tensor>(x, std::nullopt, weight, std::nullopt, std::nullopt, y, std::nullopt, rstd, ndim, eps, rung);
  return {y, rstd};
}

template <class Tensor>
std::tuple<Tensor, Tensor> rms_norm_backward(Tensor grad, Tensor x, Tensor rstd, std::optional<Tensor> weight, int64_t ndim,
                                             double, bool need_x, bool need_weight, int64_t rung) {
  const Expect expect("rms_norm_backward", "x", x, rung);
  const auto [dx, dweight, _] =
      norm_backward<Tensor>(expect, std::nullopt, grad, x, std::nullopt, rstd, weight, ndim, need_x, need_weight, false, rung);
  return {dx, dweight};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor, Tensor> add_layer_norm_forward(Tensor x, Tensor residual, std::optional<Tensor> weight,
                                                                  std::optional<Tensor> bias, int64_t ndim, double eps,
                                                                  int64_t rung) {
  const Expect expect("add_layer_norm_forward", "x", x, rung);
  expect_norm(expect, x, ndim, weight, bias);
  expect.shape("residual", residual, all_axes(x));
  Tensor total = fresh_like(x), y = fresh_like(x), mean = fresh_statistic(x, ndim), rstd = fresh_statistic(x, ndim);
  norm_forward<Tensor>(x, residual, weight, bias, total, y, mean, rstd, ndim, eps, rung);
  return {total, y, mean, rstd};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> add_layer_norm_backward(Tensor grad_total, Tensor grad_y, Tensor total, Tensor mean,
                                                           Tensor rstd, std::optional<Tensor> weight, int64_t ndim, double,
                                                           bool need_x, bool need_weight, bool need_bias, int64_t rung) {
  const Expect expect("add_layer_norm_backward", "total", total, rung);
  return norm_backward<Tensor>(expect, grad_total, grad_y, total, mean, rstd, weight, ndim, need_x, need_weight, need_bias,
                               rung);
}

}  // namespace scratchnet
