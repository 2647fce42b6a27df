// The operators of the primitive cross_entropy, except linear_cross_entropy.
#pragma once
#include <string>

#include "ops.h"
#include "ops/cross_entropy.h"

// clang-format off
#define SN_CROSS_ENTROPY_OPS(X)                                                                                    \
  X(cross_entropy_forward) X(cross_entropy_backward) X(softmax_forward) X(softmax_backward) X(log_softmax_forward) \
  X(log_softmax_backward) X(logsumexp_forward) X(logsumexp_backward)
// clang-format on

namespace scratchnet {
enum Reduction { NONE, MEAN, SUM };  // torch's own numbering

// As scratchnet/ops/cross_entropy.py has them.
struct LossOptions {
  int64_t reduction, ignore_index;
  double label_smoothing;
};

// ---- cross_entropy ------------------------------------------------------------------------------------------------------

// x (rows, classes, positions). Where operators can read what tensors hold, a class index that is out of range is refused
// before any kernel runs; elsewhere the kernel stops there.
template <class Tensor>
Targets targets(const char* function, int64_t rows, int64_t classes, int64_t positions, const Tensor& target,
                const std::optional<Tensor>& weight, const LossOptions& options) {
  Targets to = {rows, classes, positions, nullptr, nullptr, data(weight), options.ignore_index, options.label_smoothing};
  if (!is_index(target)) {
    to.probabilities = data(target);
    return to;
  }
  to.index = (const int64_t*)data(target);
  for (int64_t i = 0; ON_HOST<Tensor> && i < rows * positions; i++)
    if ((uint64_t)to.index[i] >= (uint64_t)classes && to.index[i] != to.ignore_index)
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
void expect_loss_backward(const Expect& expect, const Tensor& grad, const Tensor& lse, const Tensor& total_weight,
                          const Shape& rows, int64_t reduction) {
  expect.shape("grad", grad, reduction == NONE ? rows : Shape{nullptr, 0});
  expect.shape("lse", lse, rows, DType::f64);
  expect.shape("total_weight", total_weight, Shape{nullptr, 0}, expect.dtype == DType::f64 ? DType::f64 : DType::f32);
}

// Loss and divisor of the mean from the totals of all rows; no loss with reduction NONE, which has one for each row.
template <class Tensor>
std::tuple<Tensor, Tensor> reduced(const Tensor& x, const Tensor& totals, int64_t reduction, int64_t rung) {
  const std::vector<int64_t> scalar;
  Tensor loss = reduction == NONE ? none(x) : fresh<Tensor>(scalar, x.scalar_type());
  Tensor total_weight = fresh<Tensor>(scalar, statistics_dtype(x));
  cross_entropy_kernels(rung).cross_entropy_reduce(on(x), (const Totals*)data(totals), reduction == MEAN,
                                                   reduction == NONE ? nullptr : out(loss), out(total_weight));
  return {loss, total_weight};
}

template <class Tensor>
Tensor no_totals() {
  Tensor totals = fresh<Tensor>(std::vector<int64_t>{sizeof(Totals) / sizeof(double)}, double_dtype<Tensor>());
  fill_zeros(totals);
  return totals;
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> cross_entropy_forward(Tensor x, Tensor target, std::optional<Tensor> weight,
                                                         int64_t reduction, int64_t ignore_index, double label_smoothing,
                                                         int64_t rung) {
  const Expect expect("cross_entropy_forward", "x", x, rung);
  expect.that(x.dim() == 3, "x must have three axes, (N, C, S)");
  const std::vector<int64_t> shape = {x.size(0), x.size(2)};
  expect_loss(expect, target, all_axes(x), {shape.data(), 2}, x.size(1), weight, reduction);
  x = in_order(x), target = in_order(target), weight = in_order(weight);
  const Targets to =
      targets("cross_entropy", x.size(0), x.size(1), x.size(2), target, weight, {reduction, ignore_index, label_smoothing});
  Tensor lse = fresh<Tensor>(shape, double_dtype<Tensor>());
  Tensor loss = reduction == NONE ? fresh<Tensor>(shape, x.scalar_type()) : none(x);
  Tensor totals = no_totals<Tensor>();
  cross_entropy_kernels(rung).cross_entropy_forward(on(x), to, data(x), reduction == NONE ? out(loss) : nullptr,
                                                    (double*)out(lse), (Totals*)out(totals));
  const auto [sum, total_weight] = reduced(x, totals, reduction, rung);
  return {reduction == NONE ? loss : sum, lse, total_weight};
}

template <class Tensor>
Tensor cross_entropy_backward(Tensor grad, Tensor x, Tensor target, std::optional<Tensor> weight, Tensor lse,
                              Tensor total_weight, int64_t reduction, int64_t ignore_index, double label_smoothing,
                              int64_t rung) {
  const Expect expect("cross_entropy_backward", "x", x, rung);
  expect.that(x.dim() == 3, "x must have three axes, (N, C, S)");
  const int64_t shape[] = {x.size(0), x.size(2)};
  expect_loss(expect, target, all_axes(x), {shape, 2}, x.size(1), weight, reduction);
  expect_loss_backward(expect, grad, lse, total_weight, {shape, 2}, reduction);
  grad = in_order(grad), x = in_order(x), target = in_order(target), weight = in_order(weight), lse = in_order(lse);
  const Targets to =
      targets("cross_entropy", x.size(0), x.size(1), x.size(2), target, weight, {reduction, ignore_index, label_smoothing});
  Tensor dx = fresh_like(x);
  cross_entropy_kernels(rung).cross_entropy_backward(on(x), to, data(grad), reduction != NONE,
                                                     reduction == MEAN ? data(total_weight) : nullptr, data(x),
                                                     (const double*)data(lse), out(dx));
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
Tensor normalize(const char* op, decltype(CrossEntropyKernels::softmax_forward) CrossEntropyKernels::* kernel, Tensor x,
                 int64_t dim, int64_t rung) {
  const Expect expect(op, "x", x, rung);
  const View v(expect, x, dim);
  x = in_order(x);
  Tensor y = fresh_like(x);
  (cross_entropy_kernels(rung).*kernel)(on(x), data(x), out(y), v.outer, v.classes, v.inner);
  return y;
}

// `saved` is the output, or the input for logsumexp, whose incoming gradient has one class.
template <class Tensor>
Tensor normalize_backward(decltype(CrossEntropyKernels::softmax_backward) CrossEntropyKernels::* kernel, Tensor grad,
                          Tensor saved, const View& v, int64_t rung) {
  grad = in_order(grad), saved = in_order(saved);
  Tensor dx = fresh_like(saved);
  (cross_entropy_kernels(rung).*kernel)(on(saved), data(grad), data(saved), out(dx), v.outer, v.classes, v.inner);
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
  return normalize_backward(&CrossEntropyKernels::softmax_backward, grad, y, v, rung);
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
  return normalize_backward(&CrossEntropyKernels::log_softmax_backward, grad, y, v, rung);
}

template <class Tensor>
Tensor logsumexp_forward(Tensor x, int64_t dim, int64_t rung) {
  const Expect expect("logsumexp_forward", "x", x, rung);
  const View v(expect, x, dim);
  x = in_order(x);
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  if (x.dim()) sizes[dim] = 1;
  Tensor y = fresh<Tensor>(sizes, x.scalar_type());
  cross_entropy_kernels(rung).logsumexp_forward(on(x), data(x), out(y), v.outer, v.classes, v.inner);
  return y;
}

template <class Tensor>
Tensor logsumexp_backward(Tensor grad, Tensor x, Tensor y, int64_t dim, int64_t rung) {
  const Expect expect("logsumexp_backward", "x", x, rung);
  const View v(expect, x, dim);
  expect.shape("grad", grad, x, dim, 1);
  expect.shape("y", y, x, dim, 1);  // the kernel sums again, to the digits of x
  return normalize_backward(&CrossEntropyKernels::logsumexp_backward, grad, x, v, rung);
}

}  // namespace scratchnet
