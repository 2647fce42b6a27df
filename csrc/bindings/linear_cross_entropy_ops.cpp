// torch.ops.scratchnet.linear_cross_entropy_{forward, backward} for CPU tensors.
//
// The logits of a chunk of rows at a time, x W^T + b, in a buffer that backward turns into their gradient in place. Products
// and sums over chunks are float32 (float64) whatever the inputs are. The products are torch's (MKL) until ours are faster.
#include "tensors.h"  // first: the operators find their tensor type's functions here

#include <torch/csrc/inductor/aoti_torch/generated/c_shim_cpu.h>

#include <algorithm>

#include "cross_entropy_ops.h"

namespace scratchnet {
namespace {

Tensor wide(const Tensor& t, ScalarType dtype) { return t.scalar_type() == dtype ? t : torch::stable::to(t, dtype); }
std::optional<Tensor> wide(const std::optional<Tensor>& t, ScalarType dtype) {
  return t ? std::optional<Tensor>(wide(*t, dtype)) : std::nullopt;
}

// result = beta base + a @ b; base may be the result
void add_product(const Tensor& result, const Tensor& base, double beta, const Tensor& a, const Tensor& b) {
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_cpu_addmm_out(result.get(), base.get(), a.get(), b.get(), beta, 1));
}

// The inputs of one call and its chunks.
struct Chunks {
  int64_t rows, features, classes, size;
  Tensor x, weight, transposed, target, logits;
  std::optional<Tensor> bias, class_weight;
  ScalarType dtype;

  Chunks(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias, const Tensor& target,
         const std::optional<Tensor>& class_weight)
      : rows(x.size(0)),
        features(x.size(1)),
        classes(weight.size(0)),
        size(std::clamp<int64_t>((1 << 23) / (classes + 1), 64, 256)),  // logits of 64 to 256 rows, at best 32 MiB
        x(wide(x, statistics_dtype(x))),
        weight(wide(weight, statistics_dtype(x))),
        transposed(torch::stable::transpose(this->weight, 0, 1)),
        target(in_order(is_index(target) ? target : wide(target, statistics_dtype(x)))),
        logits(fresh<Tensor>(std::vector<int64_t>{std::min(size, rows), classes}, statistics_dtype(x))),
        bias(wide(bias, statistics_dtype(x))),
        class_weight(in_order(wide(class_weight, statistics_dtype(x)))),
        dtype(statistics_dtype(x)) {}

  // f(first row, number of rows, x of the chunk, its logits, its targets)
  template <class F>
  void for_each(int64_t ignore_index, double smoothing, const F& f) {
    Targets to = targets("linear_cross_entropy", rows, classes, 1, target, class_weight, ignore_index, smoothing);
    for (int64_t row = 0; row < rows; row += size) {
      to.rows = std::min(size, rows - row);
      const Tensor part = torch::stable::narrow(x, 0, row, to.rows), y = torch::stable::narrow(logits, 0, 0, to.rows);
      add_product(y, bias ? *bias : y, bias ? 1 : 0, part, transposed);
      f(row, to, part, y);
      if (to.index) to.index += to.rows;
      else to.probabilities = (const char*)to.probabilities + to.rows * classes * dtype_size(dtype_of(logits));
    }
  }
};

std::tuple<Tensor, Tensor, Tensor> linear_cross_entropy_forward(Tensor x, Tensor linear_weight, std::optional<Tensor> linear_bias,
                                                                Tensor target, std::optional<Tensor> weight, int64_t reduction,
                                                                int64_t ignore_index, double label_smoothing, int64_t rung) {
  Chunks chunks(x, linear_weight, linear_bias, target, weight);
  const std::vector<int64_t> shape = {chunks.rows};
  Tensor lse = fresh<Tensor>(shape, ScalarType::Double), losses = fresh<Tensor>(shape, chunks.dtype);
  Totals totals;
  chunks.for_each(ignore_index, label_smoothing, [&](int64_t row, const Targets& to, const Tensor&, const Tensor& logits) {
    totals.add(cross_entropy_kernels(rung).cross_entropy_forward(
        dtype_of(logits), to, data(logits), (char*)out(losses) + row * losses.element_size(), (double*)out(lse) + row));
  });
  Tensor loss = reduction == NONE ? wide(losses, x.scalar_type()) : reduced<Tensor>(totals, reduction, x.scalar_type());
  return {loss, lse, scalar<Tensor>(totals.weight.total(), chunks.dtype)};
}

std::tuple<Tensor, Tensor, Tensor> linear_cross_entropy_backward(
    Tensor grad, Tensor x, Tensor linear_weight, std::optional<Tensor> linear_bias, Tensor target, std::optional<Tensor> weight, Tensor lse,
    Tensor total_weight, int64_t reduction, int64_t ignore_index, double label_smoothing, bool need_x, bool need_linear_weight,
    bool need_linear_bias, int64_t rung) {
  Chunks chunks(x, linear_weight, linear_bias, target, weight);
  const auto gradient = [&](bool needed, const std::vector<int64_t>& shape) {
    Tensor t = needed ? fresh<Tensor>(shape, chunks.dtype) : none(x);
    return needed ? torch::stable::zero_(t) : t;
  };
  Tensor dx = gradient(need_x, {chunks.rows, chunks.features});
  Tensor dweight = gradient(need_linear_weight, {chunks.classes, chunks.features});
  Tensor dbias = gradient(need_linear_bias, {1, chunks.classes});
  const Tensor one = torch::stable::reshape(scalar<Tensor>(1, chunks.dtype), {1, 1});
  const int64_t rows[] = {0};
  grad = in_order(wide(grad, chunks.dtype)), lse = in_order(lse);
  const double scale = scale_of(reduction, total_weight);
  chunks.for_each(ignore_index, label_smoothing, [&](int64_t row, const Targets& to, const Tensor& part, const Tensor& logits) {
    const char* upstream = (const char*)data(grad) + (reduction == NONE ? row * grad.element_size() : 0);
    cross_entropy_kernels(rung).cross_entropy_backward(dtype_of(logits), to, upstream, reduction != NONE, scale, data(logits),
                                                       (const double*)data(lse) + row, out(logits));
    const Tensor dx_part = torch::stable::narrow(dx, 0, need_x ? row : 0, need_x ? to.rows : 0);
    if (need_x) add_product(dx_part, dx_part, 0, logits, chunks.weight);
    if (need_linear_weight) add_product(dweight, dweight, 1, torch::stable::transpose(logits, 0, 1), part);
    if (need_linear_bias) add_product(dbias, dbias, 1, one, torch::stable::sum(logits, rows, true));
  });
  if (need_linear_bias) dbias = torch::stable::squeeze(dbias, 0);
  return {wide(dx, x.scalar_type()), wide(dweight, x.scalar_type()), wide(dbias, x.scalar_type())};
}

STABLE_TORCH_LIBRARY_IMPL(scratchnet, CPU, m) {
  m.impl("linear_cross_entropy_forward", TORCH_BOX(&linear_cross_entropy_forward));
  m.impl("linear_cross_entropy_backward", TORCH_BOX(&linear_cross_entropy_backward));
}

}  // namespace
}  // namespace scratchnet
