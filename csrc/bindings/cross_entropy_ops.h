// The operators of the primitive cross_entropy, but linear_cross_entropy.
#pragma once
#include <math.h>

#include <string>

#include "cross_entropy/cross_entropy.h"
#include "ops.h"
#include "scalar.h"

#define SN_CROSS_ENTROPY_OPS(X)                                                                                      \
  X(cross_entropy_forward) X(cross_entropy_backward) X(softmax_forward) X(softmax_backward) X(log_softmax_forward)   \
  X(log_softmax_backward) X(logsumexp_forward) X(logsumexp_backward)

namespace scratchnet {
enum Reduction { NONE, MEAN, SUM };  // torch's own numbering

// ---- cross_entropy ------------------------------------------------------------------------------------------------------

// x (rows, classes, positions); raises before any kernel runs if a class index is out of range.
template <class Tensor>
Targets targets(const char* function, int64_t rows, int64_t classes, int64_t positions, const Tensor& target,
                const std::optional<Tensor>& weight, int64_t ignore_index, double smoothing) {
  Targets to = {rows, classes, positions, nullptr, nullptr, data(weight), ignore_index, smoothing};
  if (!is_index(target)) {
    to.probabilities = data(target);
    return to;
  }
  to.index = (const int64_t*)data(target);
  for (int64_t i = 0; i < rows * positions; i++)
    if ((uint64_t)to.index[i] >= (uint64_t)classes && to.index[i] != ignore_index)
      throw std::out_of_range(std::string(function) + "(): Target " + std::to_string(to.index[i]) + " is out of bounds.");
  return to;
}

// What the operators of both losses expect beside their logits: of `classes` classes, with the other sizes in `rows`.
template <class Tensor>
void expect_loss(const Expect& expect, const Tensor& target, const Shape& probabilities, const Shape& rows, int64_t classes,
                 const std::optional<Tensor>& weight, int64_t reduction) {
  if (target.dim() == probabilities.dim) {
    expect.shape("target", target, probabilities);
  } else {
    expect.index("target", target);
    expect.that(all_axes(target) == rows, "target must have the shape of the logits without the classes, or all of it");
  }
  expect.shape("weight", weight, {&classes, 1});
  expect.that(NONE <= reduction && reduction <= SUM, "reduction must be 0 (none), 1 (mean) or 2 (sum)");
}
template <class Tensor>
void expect_loss_backward(const Expect& expect, const Tensor& grad, const Tensor& lse, const Tensor& total_weight, const Shape& rows,
                          int64_t reduction) {
  expect.shape("grad", grad, reduction == NONE ? rows : Shape{nullptr, 0});
  expect.shape("lse", lse, rows, DType::f64);
  expect.shape("total_weight", total_weight, Shape{nullptr, 0}, expect.dtype == DType::f64 ? DType::f64 : DType::f32);
}

template <class Tensor, class Dtype>
Tensor scalar(double value, Dtype dtype) {
  Tensor t = fresh<Tensor>(std::vector<int64_t>{}, dtype);
  SN_FLOATS(dtype_of(t), store1((T*)out(t), acc_t<T>(value)));
  return t;
}

// What the loss of a row is multiplied with on its way to the result.
template <class Tensor>
double scale_of(int64_t reduction, const Tensor& total_weight) {
  if (reduction != MEAN) return 1;
  double total = 0;
  SN_FLOATS(dtype_of(total_weight), total = load1((const T*)data(total_weight)));
  return 1 / total;
}

template <class Tensor, class Dtype>
Tensor reduced(const Totals& totals, int64_t reduction, Dtype dtype) {
  const double weight = reduction == MEAN ? totals.weight.total() : 1;
  // Over no weight at all torch's mean is 0 / 0, also where label smoothing has left something to divide.
  return scalar<Tensor>(weight == 0 ? NAN : totals.loss.total() / weight, dtype);
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> cross_entropy_forward(Tensor x, Tensor target, std::optional<Tensor> weight, int64_t reduction,
                                                         int64_t ignore_index, double label_smoothing, int64_t rung) {
  const Expect expect("cross_entropy_forward", "x", x, rung);
  expect.that(x.dim() == 3, "x must have three axes, (N, C, S)");
  const std::vector<int64_t> shape = {x.size(0), x.size(2)};
  expect_loss(expect, target, all_axes(x), {shape.data(), 2}, x.size(1), weight, reduction);
  x = in_order(x), target = in_order(target), weight = in_order(weight);
  const Targets to =
      targets("cross_entropy", x.size(0), x.size(1), x.size(2), target, weight, ignore_index, label_smoothing);
  Tensor lse = fresh<Tensor>(shape, double_dtype<Tensor>());
  Tensor loss = reduction == NONE ? fresh<Tensor>(shape, x.scalar_type()) : none(x);
  const Totals totals = cross_entropy_kernels(rung).cross_entropy_forward(
      dtype_of(x), to, data(x), reduction == NONE ? out(loss) : nullptr, (double*)out(lse));
  if (reduction != NONE) loss = reduced<Tensor>(totals, reduction, x.scalar_type());
  return {loss, lse, scalar<Tensor>(totals.weight.total(), statistics_dtype(x))};
}

template <class Tensor>
Tensor cross_entropy_backward(Tensor grad, Tensor x, Tensor target, std::optional<Tensor> weight, Tensor lse, Tensor total_weight,
                              int64_t reduction, int64_t ignore_index, double label_smoothing, int64_t rung) {
  const Expect expect("cross_entropy_backward", "x", x, rung);
  expect.that(x.dim() == 3, "x must have three axes, (N, C, S)");
  const int64_t shape[] = {x.size(0), x.size(2)};
  expect_loss(expect, target, all_axes(x), {shape, 2}, x.size(1), weight, reduction);
  expect_loss_backward(expect, grad, lse, total_weight, {shape, 2}, reduction);
  grad = in_order(grad), x = in_order(x), target = in_order(target), weight = in_order(weight), lse = in_order(lse);
  const Targets to =
      targets("cross_entropy", x.size(0), x.size(1), x.size(2), target, weight, ignore_index, label_smoothing);
  Tensor dx = fresh_like(x);
  cross_entropy_kernels(rung).cross_entropy_backward(dtype_of(x), to, data(grad), reduction != NONE,
                                                     scale_of(reduction, total_weight), data(x), (const double*)data(lse), out(dx));
  return dx;
}

// ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------

// x seen as (outer, classes, inner) around dim; a scalar is a row of its own.
struct View {
  int64_t outer = 1, classes = 1, inner = 1;
  template <class Tensor>
  View(const Expect& expect, const Tensor& x, int64_t& dim) {
    if (x.dim() == 0) return;
    dim = expect.axis(x, dim);
    outer = numel_of(x, 0, dim), classes = x.size(dim), inner = numel_of(x, dim + 1, x.dim());
  }
};

template <class Tensor>
Tensor normalize(const char* op, decltype(CrossEntropyKernels::softmax_forward) CrossEntropyKernels::*kernel, Tensor x, int64_t dim,
                 int64_t rung) {
  const Expect expect(op, "x", x, rung);
  const View v(expect, x, dim);
  x = in_order(x);
  Tensor y = fresh_like(x);
  (cross_entropy_kernels(rung).*kernel)(dtype_of(x), data(x), out(y), v.outer, v.classes, v.inner);
  return y;
}

// `saved` is the output, or the input for logsumexp, whose incoming gradient has one class.
template <class Tensor>
Tensor normalize_backward(const Expect& expect, decltype(CrossEntropyKernels::softmax_backward) CrossEntropyKernels::*kernel,
                          Tensor grad, Tensor saved, const View& v, int64_t rung) {
  grad = in_order(grad), saved = in_order(saved);
  Tensor dx = fresh_like(saved);
  (cross_entropy_kernels(rung).*kernel)(expect.dtype, data(grad), data(saved), out(dx), v.outer, v.classes, v.inner);
  return dx;
}

template <class Tensor>
Tensor softmax_forward(Tensor x, int64_t dim, int64_t rung) {
  return normalize("softmax_forward", &CrossEntropyKernels::softmax_forward, x, dim, rung);
}

template <class Tensor>
Tensor softmax_backward(Tensor grad, Tensor y, int64_t dim, int64_t rung) {
  const Expect expect("softmax_backward", "y", y, rung);
  const View v(expect, y, dim);
  expect.shape("grad", grad, all_axes(y));
  return normalize_backward(expect, &CrossEntropyKernels::softmax_backward, grad, y, v, rung);
}

template <class Tensor>
Tensor log_softmax_forward(Tensor x, int64_t dim, int64_t rung) {
  return normalize("log_softmax_forward", &CrossEntropyKernels::log_softmax_forward, x, dim, rung);
}

template <class Tensor>
Tensor log_softmax_backward(Tensor grad, Tensor y, int64_t dim, int64_t rung) {
  const Expect expect("log_softmax_backward", "y", y, rung);
  const View v(expect, y, dim);
  expect.shape("grad", grad, all_axes(y));
  return normalize_backward(expect, &CrossEntropyKernels::log_softmax_backward, grad, y, v, rung);
}

template <class Tensor>
Tensor logsumexp_forward(Tensor x, int64_t dim, int64_t rung) {
  const Expect expect("logsumexp_forward", "x", x, rung);
  const View v(expect, x, dim);
  x = in_order(x);
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  if (x.dim()) sizes[dim] = 1;
  Tensor y = fresh<Tensor>(sizes, x.scalar_type());
  cross_entropy_kernels(rung).logsumexp_forward(dtype_of(x), data(x), out(y), v.outer, v.classes, v.inner);
  return y;
}

template <class Tensor>
Tensor logsumexp_backward(Tensor grad, Tensor x, Tensor y, int64_t dim, int64_t rung) {
  const Expect expect("logsumexp_backward", "x", x, rung);
  const View v(expect, x, dim);
  expect.shape("grad", grad, x, dim, 1);
  expect.shape("y", y, x, dim, 1);  // the kernel sums again, to the digits of x
  return normalize_backward(expect, &CrossEntropyKernels::logsumexp_backward, grad, x, v, rung);
}

}  // namespace scratchnet
