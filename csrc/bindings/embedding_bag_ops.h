// The operator embedding_bag.
#pragma once
#include "gather_ops.h"
#include "ops/embedding_bag.h"

#define SN_EMBEDDING_BAG_OPS(X) X(embedding_bag_forward) X(embedding_bag_backward)

namespace scratchnet {

template <class Tensor>
Bags bags_of(const Expect& expect, Tensor& weight, Tensor& index, Tensor& offsets, const std::optional<Tensor>& scale,
             int64_t mode, int64_t padding) {
  expect.type("weight", weight), expect.index("index", index), expect.index("offsets", offsets);
  expect.that(weight.dim() == 2, "weight must have two axes");
  expect.that(index.dim() == 1 && offsets.dim() == 1 && offsets.numel() > 0,
              "index and offsets must have one axis, and offsets must have an entry");
  expect.shape("scale", scale, all_axes(index));
  expect.that(0 <= mode && mode <= 2, "mode must be 0, 1 or 2: sum, mean, max");
  index = in_order(index), offsets = in_order(offsets);
  if (weight.size(1) > 1 && weight.stride(1) != 1) weight = in_order(weight);
  return {weight.size(0),   weight.size(1), weight.stride(0), offsets.numel() - 1, index.numel(), entries(index),
          entries(offsets), (BagMode)mode,  padding};
}

inline void check_bags(bool fits) {
  if (!fits)
    throw std::out_of_range(
        "embedding_bag(): index or offset out of range: offsets rise from 0 to at most the number of "
        "indices, and these are from 0 to size - 1");
}

template <class Tensor>
std::tuple<Tensor, Tensor> embedding_bag_forward(Tensor weight, Tensor index, Tensor offsets, std::optional<Tensor> scale,
                                                 int64_t mode, int64_t padding, int64_t rung) {
  const Expect expect("embedding_bag_forward", "weight", weight, rung);
  const Bags s = bags_of(expect, weight, index, offsets, scale, mode, padding);
  scale = in_order(scale);
  Tensor y = fresh<Tensor>({s.bags, s.columns}, weight.scalar_type());
  Tensor which = fresh<Tensor>(s.mode == BagMode::max ? std::vector<int64_t>{s.bags, s.columns} : std::vector<int64_t>{0},
                               index.scalar_type());
  check_bags(embedding_bag_kernels(rung).forward(on(weight), s, data(weight), data(scale), out(y), (int64_t*)out(which)));
  return {y, which};
}

template <class Tensor>
std::tuple<Tensor, Tensor> embedding_bag_backward(Tensor grad, Tensor weight, Tensor index, Tensor offsets,
                                                  std::optional<Tensor> scale, Tensor which, int64_t mode, int64_t padding,
                                                  bool need_weight, bool need_scale, int64_t rung) {
  const Expect expect("embedding_bag_backward", "grad", grad, rung);
  const Bags s = bags_of(expect, weight, index, offsets, scale, mode, padding);
  expect.shape("grad", grad, {s.bags, s.columns});
  expect.index("which", which);
  expect.that(s.mode == BagMode::max ? which.dim() == 2 && which.size(0) == s.bags && which.size(1) == s.columns
                                     : which.dim() == 1 && which.numel() == 0,
              "which must have the shape of grad for a maximum, else no entry");
  grad = in_order(grad), scale = in_order(scale), which = in_order(which);
  Tensor dweight = need_weight ? fresh<Tensor>({s.rows, s.columns}, grad.scalar_type()) : none(grad);
  Tensor dscale = need_scale ? fresh<Tensor>({s.n}, grad.scalar_type()) : none(grad);
  check_bags(embedding_bag_kernels(rung).backward(on(grad), s, data(grad), data(weight), data(scale), entries(which),
                                                  need_weight ? out(dweight) : nullptr, need_scale ? out(dscale) : nullptr));
  return {dweight, dscale};
}

}  // namespace scratchnet
