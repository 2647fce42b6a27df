// What the operator files share: the step from a tensor to what a kernel takes.
//
// The operators are templates over the tensor type: torch's (tensors.h) or NumPy's (arrays.h). Both have dim, size, sizes,
// stride, numel, is_contiguous, scalar_type, const_data_ptr and mutable_data_ptr, and both headers, which come before this one, define
//     fresh<Tensor>(sizes, dim, dtype)   a contiguous tensor whose memory is not initialised
//     copy_in_order(tensor)              a contiguous copy
//     dtype_of(tensor), is_int64(tensor), statistics_dtype(tensor)
// Schemas live in scratchnet/registry.py; here are only the implementations.
#pragma once
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "types.h"

namespace scratchnet {

template <class Tensor, class Dtype>
Tensor fresh(const std::vector<int64_t>& sizes, Dtype dtype) {
  return fresh<Tensor>(sizes.data(), sizes.size(), dtype);
}
template <class Tensor>
Tensor fresh_like(const Tensor& t) {
  return fresh<Tensor>(t.sizes().data(), t.dim(), t.scalar_type());
}

// Stands for a gradient that nobody asked for.
template <class Tensor>
Tensor none(const Tensor& like) {
  return fresh<Tensor>(std::vector<int64_t>{0}, like.scalar_type());
}

// The tensor itself if its elements lie in order, else a copy. Kernels that walk memory in order take their inputs through it.
template <class Tensor>
Tensor in_order(const Tensor& t) {
  return t.is_contiguous() ? t : copy_in_order(t);
}
template <class Tensor>
std::optional<Tensor> in_order(const std::optional<Tensor>& t) {
  return t ? std::optional<Tensor>(in_order(*t)) : std::nullopt;
}

template <class Tensor>
const void* data(const Tensor& t) {
  return t.const_data_ptr();
}
template <class Tensor>
const void* data(const std::optional<Tensor>& t) {
  return t ? t->const_data_ptr() : nullptr;
}
template <class Tensor>
void* out(const Tensor& t) {
  return t.mutable_data_ptr();
}

// Product of the sizes of dimensions [begin, end).
template <class Tensor>
int64_t numel_of(const Tensor& t, int64_t begin, int64_t end) {
  int64_t n = 1;
  for (int64_t i = begin; i < end; i++) n *= t.size(i);
  return n;
}

}  // namespace scratchnet
