// linear_cross_entropy: the loss of the logits x W^T + b, which exist for a chunk of rows at a time, in a buffer that backward
// turns into their gradient in place. Products and sums over chunks are float32 (float64) whatever the inputs are.
#pragma once
#include <algorithm>

#include "cross_entropy_ops.h"
#include "matmul_ops.h"

#define SN_LINEAR_CROSS_ENTROPY_OPS(X) X(linear_cross_entropy_forward) X(linear_cross_entropy_backward)

namespace scratchnet {

template <class Tensor, class Dtype>
Tensor wide(const Tensor& t, Dtype dtype) {
  return has_dtype(t, dtype) ? t : converted(t, dtype);
}
template <class Tensor, class Dtype>
std::optional<Tensor> wide(const std::optional<Tensor>& t, Dtype dtype) {
  return t ? std::optional<Tensor>(wide(*t, dtype)) : std::nullopt;
}

template <class Tensor>
Expect expect_linear(const char* op, const Tensor& x, const Tensor& linear_weight, const std::optional<Tensor>& linear_bias,
                     const Tensor& target, const std::optional<Tensor>& weight, int64_t reduction, int64_t rung) {
  const Expect expect(op, "x", x, rung);
  expect.that(x.dim() == 2, "x must have two axes, (N, K)");
  expect.type("linear_weight", linear_weight);
  expect.that(linear_weight.dim() == 2 && linear_weight.size(1) == x.size(1), "linear_weight must be (C, K), with the K of x");
  const int64_t logits[] = {x.size(0), linear_weight.size(0)};
  expect.shape("linear_bias", linear_bias, {logits + 1, 1});
  expect_loss(expect, target, {logits, 2}, {logits, 1}, logits[1], weight, reduction);
  return expect;
}

// The inputs of one call and its chunks.
template <class Tensor>
struct Chunks {
  Tensor x, weight, target;  // (rows, features), (classes, features)
  std::optional<Tensor> bias, class_weight;
  int64_t rows, features, classes, size;
  Tensor logits;  // (size, classes)

  Chunks(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias, const Tensor& target,
         const std::optional<Tensor>& class_weight)
      : x(wide(x, statistics_dtype(x))),
        weight(wide(weight, statistics_dtype(x))),
        target(in_order(is_index(target) ? target : wide(target, statistics_dtype(x)))),
        bias(in_order(wide(bias, statistics_dtype(x)))),
        class_weight(in_order(wide(class_weight, statistics_dtype(x)))),
        rows(x.size(0)),
        features(x.size(1)),
        classes(weight.size(0)),
        size(std::min(rows, std::clamp<int64_t>((1 << 23) / (classes + 1), 64, 256))),  // at best 32 MiB of logits
        logits(fresh<Tensor>(std::vector<int64_t>{size, classes}, statistics_dtype(x))) {}

  DType dtype() const { return dtype_of(logits); }
  int64_t count() const { return size ? (rows + size - 1) / size : 1; }
  // Where row `row` of a contiguous tensor with `columns` columns begins.
  void* at(const Tensor& t, int64_t row, int64_t columns) const { return (char*)out(t) + row * columns * dtype_size(dtype()); }
  Matrix x_from(int64_t row) const {
    return {(const char*)data(x) + row * x.stride(0) * dtype_size(dtype()), x.stride(0), x.stride(1), nullptr};
  }
  Matrix logits_matrix() const { return {data(logits), classes, 1, nullptr}; }

  // f(first row, targets of the chunk), the logits of its rows being in `logits`
  template <class F>
  void for_each(const MatmulKernels& kernels, int64_t ignore_index, double smoothing, const F& f) {
    Targets to = targets("linear_cross_entropy", rows, classes, 1, target, class_weight, ignore_index, smoothing);
    int64_t row = 0;
    do {  // at least one chunk, which may be empty: sums over no rows are results too
      to.rows = std::min(size, rows - row);
      kernels.product(on(logits), {to.rows, classes, features}, x_from(row), matrix_of(weight).transposed(),
                      {.y = out(logits), .bias = data(bias)});
      f(row, to);
      if (to.index) to.index += to.rows;
      else to.probabilities = (const char*)to.probabilities + to.rows * classes * dtype_size(dtype());
      row += size;
    } while (row < rows);
  }
};

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> linear_cross_entropy_forward(Tensor x, Tensor linear_weight, std::optional<Tensor> linear_bias,
                                                                Tensor target, std::optional<Tensor> weight, int64_t reduction,
                                                                int64_t ignore_index, double label_smoothing, int64_t rung) {
  expect_linear("linear_cross_entropy_forward", x, linear_weight, linear_bias, target, weight, reduction, rung);
  Chunks<Tensor> chunks(x, linear_weight, linear_bias, target, weight);
  const std::vector<int64_t> shape = {chunks.rows};
  Tensor lse = fresh<Tensor>(shape, double_dtype<Tensor>()), losses = fresh<Tensor>(shape, statistics_dtype(x));
  Tensor totals = no_totals<Tensor>();
  chunks.for_each(matmul_kernels(rung), ignore_index, label_smoothing, [&](int64_t row, const Targets& to) {
    cross_entropy_kernels(rung).cross_entropy_forward(on(chunks.logits), to, data(chunks.logits), chunks.at(losses, row, 1),
                                                      (double*)out(lse) + row, (Totals*)out(totals));
  });
  const auto [sum, total_weight] = reduced(x, totals, reduction, rung);
  return {reduction == NONE ? wide(losses, x.scalar_type()) : sum, lse, total_weight};
}

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> linear_cross_entropy_backward(
    Tensor grad, Tensor x, Tensor linear_weight, std::optional<Tensor> linear_bias, Tensor target, std::optional<Tensor> weight,
    Tensor lse, Tensor total_weight, int64_t reduction, int64_t ignore_index, double label_smoothing, bool need_x,
    bool need_linear_weight, bool need_linear_bias, int64_t rung) {
  const Expect expect =
      expect_linear("linear_cross_entropy_backward", x, linear_weight, linear_bias, target, weight, reduction, rung);
  expect_loss_backward(expect, grad, lse, total_weight, first_axes(x, 1), reduction);
  Chunks<Tensor> chunks(x, linear_weight, linear_bias, target, weight);
  const auto gradient = [&](bool needed, const std::vector<int64_t>& shape) {
    return needed ? fresh<Tensor>(shape, statistics_dtype(x)) : none(x);
  };
  Tensor dx = gradient(need_x, {chunks.rows, chunks.features});
  Tensor dweight = gradient(need_linear_weight, {chunks.classes, chunks.features});
  Tensor dbias = gradient(need_linear_bias, {chunks.classes});
  Tensor sums = gradient(need_linear_bias, {chunks.count(), chunks.classes});  // over the rows of each chunk
  grad = in_order(wide(grad, statistics_dtype(x))), lse = in_order(lse);
  const MatmulKernels& kernels = matmul_kernels(rung);
  const auto add_rows = [&](const Tensor& from, void* to, int64_t rows) {
    kernels.activation_backward(on(from), data(from), nullptr, nullptr, to, rows, chunks.classes, Activation::none);
  };
  int64_t chunk = 0;
  chunks.for_each(kernels, ignore_index, label_smoothing, [&](int64_t row, const Targets& to) {
    cross_entropy_kernels(rung).cross_entropy_backward(
        on(chunks.logits), to, chunks.at(grad, reduction == NONE ? row : 0, 1), reduction != NONE,
        reduction == MEAN ? data(total_weight) : nullptr, data(chunks.logits), (const double*)data(lse) + row,
        out(chunks.logits));
    const Matrix dlogits = chunks.logits_matrix();
    if (need_x)
      kernels.product(on(dx), {to.rows, chunks.features, chunks.classes}, dlogits, matrix_of(chunks.weight),
                      {.y = chunks.at(dx, row, chunks.features)});
    if (need_linear_weight)
      kernels.product(on(dweight), {chunks.classes, chunks.features, to.rows}, dlogits.transposed(), chunks.x_from(row),
                      {.y = out(dweight), .accumulate = row > 0});
    if (need_linear_bias) add_rows(chunks.logits, chunks.at(sums, chunk++, chunks.classes), to.rows);
  });
  if (need_linear_bias) add_rows(sums, out(dbias), chunks.count());
  return {wide(dx, x.scalar_type()), wide(dweight, x.scalar_type()), wide(dbias, x.scalar_type())};
}

}  // namespace scratchnet
