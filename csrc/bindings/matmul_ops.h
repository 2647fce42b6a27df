// The operators of the primitive matmul.
#pragma once
#include "ops.h"
#include "ops/matmul.h"

#define SN_MATMUL_OPS(X) X(matmul_forward) X(matmul_backward) X(linear_forward) X(linear_backward) X(linear_outputs)

namespace scratchnet {
// The products for a rung of another operator: for its last rung, the best ones.
inline const MatmulKernels& products(int64_t rung, int64_t last) { return matmul_kernels(rung < last ? rung : matmul_rungs); }

// The last two axes of a tensor as rows and columns, the ones before as the batch. The tensor must outlive it.
template <class Tensor>
Matrix matrix_of(const Tensor& t) {
  const int64_t* strides = t.strides().data();
  return {data(t), strides[t.dim() - 2], strides[t.dim() - 1], strides};
}

// y (batch..., m, n) = a (batch..., m, k) b (batch..., k, n)
template <class Tensor>
Tensor product(const Tensor& like, const Matrix& a, const Matrix& b, int64_t m, int64_t n, int64_t k, int64_t rung) {
  std::vector<int64_t> sizes = sizes_of(like);
  const int64_t axes = like.dim() - 2;
  sizes[axes] = m, sizes[axes + 1] = n;
  Tensor y = fresh<Tensor>(sizes, like.scalar_type());
  if (y.numel() == 0) return y;  // in an empty batch the product of the other sizes may overflow
  const MatmulKernels& kernels = matmul_kernels(rung);
  if (n == 1)  // a vector: y^T = b^T a^T has long rows, which are what the kernels are fast at
    kernels.product(on(like), {1, m, k, axes, sizes.data()}, b.transposed(), a.transposed(), {out(y)});
  else kernels.product(on(like), {m, n, k, axes, sizes.data()}, a, b, {out(y)});
  return y;
}

// a (batch..., m, k), b (batch..., k, n)
template <class Tensor>
void expect_factors(const Expect& expect, const Tensor& a, const Tensor& b) {
  const int64_t batch = a.dim() - 2;
  expect.that(batch >= 0 && b.dim() == a.dim(), "a and b must have equally many axes, at least two");
  expect.that(first_axes(a, batch) == first_axes(b, batch), "a and b must have the same axes of the batch");
  expect.that(a.size(a.dim() - 1) == b.size(b.dim() - 2), "b must have as many rows as a has columns");
  expect.type("b", b);
}

template <class Tensor>
Tensor matmul_forward(Tensor a, Tensor b, int64_t rung) {
  const Expect expect("matmul_forward", "a", a, rung);
  expect_factors(expect, a, b);
  const int64_t m = a.size(a.dim() - 2), k = a.size(a.dim() - 1), n = b.size(b.dim() - 1);
  return product(a, matrix_of(a), matrix_of(b), m, n, k, rung);
}

template <class Tensor>
std::tuple<Tensor, Tensor> matmul_backward(Tensor grad, Tensor a, Tensor b, bool need_a, bool need_b, int64_t rung) {
  const Expect expect("matmul_backward", "a", a, rung);
  expect_factors(expect, a, b);
  const int64_t m = a.size(a.dim() - 2), k = a.size(a.dim() - 1), n = b.size(b.dim() - 1);
  expect.shape("grad", grad, a, a.dim() - 1, n);
  const Matrix g = matrix_of(grad);
  return {need_a ? product(a, g, matrix_of(b).transposed(), m, k, n, rung) : none(a),
          need_b ? product(b, matrix_of(a).transposed(), g, k, n, m, rung) : none(b)};
}

// x (..., K) as (rows, K): one stride must lead from row to row, else it is copied. Axes of size 1 have strides without
// meaning.
template <class Tensor>
Tensor with_even_rows(const Tensor& x) {
  int64_t inner = -1;  // the last axis looked at that has several entries
  for (int64_t i = x.dim() - 2; i >= 0; i--) {
    if (x.size(i) == 1) continue;
    if (inner >= 0 && x.stride(i) != x.stride(inner) * x.size(inner)) return in_order(x);
    inner = i;
  }
  return x;
}
template <class Tensor>
Matrix rows_of(const Tensor& x) {
  int64_t i = x.dim() - 2;
  while (i >= 0 && x.size(i) == 1) i--;
  return {data(x), i >= 0 ? x.stride(i) : 0, x.stride(x.dim() - 1), nullptr};
}

// x (..., k), weight (n, k)
template <class Tensor>
void expect_linear(const Expect& expect, const Tensor& x, const Tensor& weight, int64_t activation) {
  expect.that(x.dim() > 0, "x must have an axis");
  expect.that(weight.dim() == 2, "weight must have two axes");
  expect.shape("weight", weight, {weight.size(0), x.size(x.dim() - 1)});
  expect.that(0 <= activation && activation <= (int64_t)Activation::gelu_tanh, "activation must be from 0 to 3");
}

// y, and z where it is asked for and backward needs it
template <class Tensor>
std::tuple<Tensor, Tensor> linear(const char* op, Tensor x, const Tensor& weight, std::optional<Tensor> bias,
                                  int64_t activation, bool keep, int64_t rung) {
  const Expect expect(op, "x", x, rung);
  expect_linear(expect, x, weight, activation);
  expect.shape("bias", bias, first_axes(weight, 1));
  x = with_even_rows(x), bias = in_order(bias);
  const auto act = (Activation)activation;
  std::vector<int64_t> sizes = sizes_of(x);
  sizes.back() = weight.size(0);
  Tensor y = fresh<Tensor>(sizes, x.scalar_type());
  const bool keep_z = keep && (act == Activation::gelu || act == Activation::gelu_tanh);
  Tensor z = keep_z ? fresh_like(y) : none(x);
  const ProductSizes size{numel_of(x, 0, x.dim() - 1), weight.size(0), weight.size(1)};
  const Epilogue to{out(y), keep_z ? out(z) : nullptr, data(bias), act};
  matmul_kernels(rung).product(on(x), size, rows_of(x), matrix_of(weight).transposed(), to);
  return {y, z};
}
template <class Tensor>
std::tuple<Tensor, Tensor> linear_forward(Tensor x, Tensor weight, std::optional<Tensor> bias, int64_t activation,
                                          int64_t rung) {
  return linear("linear_forward", x, weight, bias, activation, true, rung);
}
// Without gradients: z is as large as y, and of a short sum writing both takes longer than computing them.
template <class Tensor>
Tensor linear_outputs(Tensor x, Tensor weight, std::optional<Tensor> bias, int64_t activation, int64_t rung) {
  return std::get<0>(linear("linear_outputs", x, weight, bias, activation, false, rung));
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> linear_backward(Tensor grad, Tensor x, Tensor weight, Tensor saved, int64_t activation,
                                                   bool need_x, bool need_weight, bool need_bias, int64_t rung) {
  const Expect expect("linear_backward", "x", x, rung);
  expect_linear(expect, x, weight, activation);
  expect.shape("grad", grad, x, x.dim() - 1, weight.size(0));
  if (activation != (int64_t)Activation::none) expect.shape("saved", saved, all_axes(grad));
  const MatmulKernels& kernels = matmul_kernels(rung);
  const auto act = (Activation)activation;
  const int64_t rows = numel_of(x, 0, x.dim() - 1), n = weight.size(0), k = weight.size(1);
  const bool need_dz = act != Activation::none && (need_x || need_weight);
  grad = in_order(grad), saved = in_order(saved), x = with_even_rows(x);
  Tensor dz = need_dz ? fresh_like(grad) : grad, dbias = need_bias ? fresh<Tensor>(&n, 1, x.scalar_type()) : none(x);
  if (need_dz || need_bias)
    kernels.activation_backward(on(x), data(grad), data(saved), need_dz ? out(dz) : nullptr, need_bias ? out(dbias) : nullptr,
                                rows, n, act);
  Tensor dx = need_x ? fresh_like(x) : none(x), dweight = need_weight ? fresh_like(weight) : none(x);
  if (need_x) kernels.product(on(x), {rows, k, n}, rows_of(dz), matrix_of(weight), {out(dx)});
  if (need_weight) kernels.product(on(x), {n, k, rows}, rows_of(dz).transposed(), rows_of(x), {out(dweight)});
  return {dx, dweight, dbias};
}

}  // namespace scratchnet
