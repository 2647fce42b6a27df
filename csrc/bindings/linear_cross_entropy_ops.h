// linear_cross_entropy: the loss of the logits x W^T + b, which exist for a chunk of rows at a time, in a buffer that is turned
// into their gradient in place. Products and sums over chunks are float32 (float64) whatever the inputs are.
//
//   forward     x W^T of each chunk                                                            2 N K C operations
//   backward    the logits again, then dx = dlogits W and dW += dlogits^T x:                   6 N K C
//   gradients   both at once, for a single loss whose gradient is 1: the logits are made once, 6 N K C in all instead of 8
#pragma once
#include <algorithm>

#include "cross_entropy_ops.h"
#include "matmul_ops.h"

#define SN_LINEAR_CROSS_ENTROPY_OPS(X) X(linear_cross_entropy_forward) X(linear_cross_entropy_backward)
#define SN_LINEAR_CROSS_ENTROPY_HOST_OPS(X) X(linear_cross_entropy_gradients)  // reads the targets

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
  int64_t count() const { return size ? ceil_div(rows, size) : 1; }
  // Where row `row` of a contiguous tensor with `columns` columns begins.
  void* at(const Tensor& t, int64_t row, int64_t columns) const { return (char*)out(t) + row * columns * dtype_size(dtype()); }
  Matrix x_from(int64_t row) const {
    return {(const char*)data(x) + row * x.stride(0) * dtype_size(dtype()), x.stride(0), x.stride(1), nullptr};
  }
  Matrix logits_matrix() const { return {data(logits), classes, 1, nullptr}; }

  Targets targets(const LossOptions& options) const {
    return scratchnet::targets("linear_cross_entropy", rows, classes, 1, target, class_weight, options);
  }

  // f(first row, targets of the chunk), the logits of its rows being in `logits`
  template <class F>
  void for_each(const MatmulKernels& kernels, Targets to, const F& f) const {
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
std::tuple<Tensor, Tensor, Tensor> linear_cross_entropy_forward(Tensor x, Tensor linear_weight,
                                                                std::optional<Tensor> linear_bias, Tensor target,
                                                                std::optional<Tensor> weight, int64_t reduction,
                                                                int64_t ignore_index, double label_smoothing, int64_t rung) {
  expect_linear("linear_cross_entropy_forward", x, linear_weight, linear_bias, target, weight, reduction, rung);
  Chunks<Tensor> chunks(x, linear_weight, linear_bias, target, weight);
  const std::vector<int64_t> shape = {chunks.rows};
  Tensor lse = fresh<Tensor>(shape, double_dtype<Tensor>()), losses = fresh<Tensor>(shape, statistics_dtype(x));
  Tensor totals = no_totals<Tensor>();
  const Targets all = chunks.targets({reduction, ignore_index, label_smoothing});
  chunks.for_each(products(rung, cross_entropy_rungs), all, [&](int64_t row, const Targets& to) {
    cross_entropy_kernels(rung).cross_entropy_forward(on(chunks.logits), to, data(chunks.logits), chunks.at(losses, row, 1),
                                                      (double*)out(lse) + row, (Totals*)out(totals));
  });
  const auto [sum, total_weight] = reduced(x, totals, reduction, rung);
  return {reduction == NONE ? wide(losses, x.scalar_type()) : sum, lse, total_weight};
}

// What the chunks add to the gradients; those that are not needed are empty.
template <class Tensor>
struct LinearGradients {
  const Chunks<Tensor>& chunks;
  const MatmulKernels& kernels;
  const CrossEntropyKernels& loss_kernels;
  bool need_x, need_weight, need_bias;
  Tensor dx, dweight, dbias;
  Tensor sums;  // (chunks, classes), over the rows of each chunk

  LinearGradients(const Chunks<Tensor>& chunks, int64_t rung, bool need_x, bool need_weight, bool need_bias)
      : chunks(chunks),
        kernels(products(rung, cross_entropy_rungs)),
        loss_kernels(cross_entropy_kernels(rung)),
        need_x(need_x),
        need_weight(need_weight),
        need_bias(need_bias),
        dx(gradient(need_x, {chunks.rows, chunks.features})),
        dweight(gradient(need_weight, {chunks.classes, chunks.features})),
        dbias(gradient(need_bias, {chunks.classes})),
        sums(gradient(need_bias, {chunks.count(), chunks.classes})) {}

  // The logits of a chunk become their gradient, and that goes back through the product.
  void add(int64_t row, const Targets& to, const void* grad, bool single, const void* total_weight, const double* lse) const {
    const Tensor& logits = chunks.logits;
    loss_kernels.cross_entropy_backward(on(logits), to, grad, single, total_weight, data(logits), lse + row, out(logits));
    const Matrix dlogits = chunks.logits_matrix();
    if (need_x)
      kernels.product(on(dx), {to.rows, chunks.features, chunks.classes}, dlogits, matrix_of(chunks.weight),
                      {.y = chunks.at(dx, row, chunks.features)});
    if (need_weight)
      kernels.product(on(dweight), {chunks.classes, chunks.features, to.rows}, dlogits.transposed(), chunks.x_from(row),
                      {.y = out(dweight), .accumulate = row > 0});
    if (need_bias) add_rows(logits, chunks.at(sums, chunks.size ? row / chunks.size : 0, chunks.classes), to.rows);
  }
  void close() const {
    if (need_bias) add_rows(sums, out(dbias), chunks.count());
  }

 private:
  Tensor gradient(bool needed, const std::vector<int64_t>& shape) const {
    return needed ? fresh<Tensor>(shape, chunks.logits.scalar_type()) : none(chunks.logits);
  }
  void add_rows(const Tensor& from, void* to, int64_t rows) const {
    kernels.activation_backward(on(from), data(from), nullptr, nullptr, to, rows, chunks.classes, Activation::none);
  }
};

template <class Tensor>
std::tuple<Tensor, Tensor, Tensor> linear_cross_entropy_backward(Tensor grad, Tensor x, Tensor linear_weight,
                                                                 std::optional<Tensor> linear_bias, Tensor target,
                                                                 std::optional<Tensor> weight, Tensor lse, Tensor total_weight,
                                                                 int64_t reduction, int64_t ignore_index,
                                                                 double label_smoothing, bool need_x, bool need_linear_weight,
                                                                 bool need_linear_bias, int64_t rung) {
  const Expect expect =
      expect_linear("linear_cross_entropy_backward", x, linear_weight, linear_bias, target, weight, reduction, rung);
  expect_loss_backward(expect, grad, lse, total_weight, first_axes(x, 1), reduction);
  const Chunks<Tensor> chunks(x, linear_weight, linear_bias, target, weight);
  const LinearGradients<Tensor> gradients(chunks, rung, need_x, need_linear_weight, need_linear_bias);
  grad = in_order(wide(grad, statistics_dtype(x))), lse = in_order(lse);
  const Targets all = chunks.targets({reduction, ignore_index, label_smoothing});
  chunks.for_each(products(rung, cross_entropy_rungs), all, [&](int64_t row, const Targets& to) {
    gradients.add(row, to, chunks.at(grad, reduction == NONE ? row : 0, 1), reduction != NONE,
                  reduction == MEAN ? data(total_weight) : nullptr, (const double*)data(lse));
  });
  gradients.close();
  const auto rounded = [&](const Tensor& t) { return wide(t, x.scalar_type()); };
  return {rounded(gradients.dx), rounded(gradients.dweight), rounded(gradients.dbias)};
}

// The divisor of the mean, which the targets alone decide: known before the first loss.
template <class Tensor>
Tensor total_weight_of(const Tensor& like, const Targets& to) {
  const bool f64 = dtype_of(like) == DType::f64;
  Sum sum;
  for (int64_t i = 0; i < to.rows; i++) {
    if (!to.index) sum.add(to.classes > 0);
    else if (const int64_t t = to.index[i]; t != to.ignore_index)
      sum.add(!to.weight ? 1 : f64 ? ((const double*)to.weight)[t] : ((const float*)to.weight)[t]);
  }
  Tensor total = fresh<Tensor>(std::vector<int64_t>{}, like.scalar_type());
  if (f64) *(double*)out(total) = sum.total();
  else *(float*)out(total) = sum.total();
  return total;
}

// The gradients are those for an incoming 1, in the type that they are summed in: the caller scales and rounds them.
template <class Tensor>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> linear_cross_entropy_gradients(
    Tensor x, Tensor linear_weight, std::optional<Tensor> linear_bias, Tensor target, std::optional<Tensor> weight,
    int64_t reduction, int64_t ignore_index, double label_smoothing, bool need_x, bool need_linear_weight,
    bool need_linear_bias, int64_t rung) {
  const Expect expect =
      expect_linear("linear_cross_entropy_gradients", x, linear_weight, linear_bias, target, weight, reduction, rung);
  expect.that(reduction != NONE,
              "reduction must be 1 (mean) or 2 (sum): with 0 (none) the incoming gradients are not known yet");
  const Chunks<Tensor> chunks(x, linear_weight, linear_bias, target, weight);
  const LinearGradients<Tensor> gradients(chunks, rung, need_x, need_linear_weight, need_linear_bias);
  const Targets all = chunks.targets({reduction, ignore_index, label_smoothing});
  const Tensor divisor = total_weight_of(chunks.logits, all);
  const double one64 = 1;
  const float one32 = 1;
  const void* const one = chunks.dtype() == DType::f64 ? (const void*)&one64 : &one32;
  Tensor lse = fresh<Tensor>(std::vector<int64_t>{chunks.rows}, double_dtype<Tensor>()), totals = no_totals<Tensor>();
  chunks.for_each(products(rung, cross_entropy_rungs), all, [&](int64_t row, const Targets& to) {
    cross_entropy_kernels(rung).cross_entropy_forward(on(chunks.logits), to, data(chunks.logits), nullptr,
                                                      (double*)out(lse) + row, (Totals*)out(totals));
    gradients.add(row, to, one, true, reduction == MEAN ? data(divisor) : nullptr, (const double*)data(lse));
  });
  gradients.close();
  const auto [loss, total_weight] = reduced(x, totals, reduction, rung);
  return {loss, lse, total_weight, gradients.dx, gradients.dweight, gradients.dbias};
}

}  // namespace scratchnet
