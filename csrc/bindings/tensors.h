// torch tensors for the operators, by torch's stable ABI; cpu_tensors.h and cuda_tensors.h add what depends on the device.
//
// Only files in csrc/bindings include torch. They compile against the stable ABI of torch 2.10 (TORCH_TARGET_VERSION), so that
// one build runs on every later torch.
#pragma once
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "ops.h"

namespace scratchnet {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <>
inline DType dtype_of(const Tensor& t) {
  switch (t.scalar_type()) {
    case ScalarType::Double: return DType::f64;
    case ScalarType::Float: return DType::f32;
    case ScalarType::BFloat16: return DType::bf16;
    case ScalarType::Half: return DType::f16;
    default: throw std::runtime_error("scratchnet: expected a float64, float32, bfloat16 or float16 tensor");
  }
}

template <>
inline bool is_float(const Tensor& t) {
  const ScalarType type = t.scalar_type();
  return type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16 || type == ScalarType::Half;
}
template <>
inline bool holds(const Tensor& t, DType dtype) {
  constexpr ScalarType TYPES[] = {ScalarType::Double, ScalarType::Float, ScalarType::BFloat16, ScalarType::Half};
  return t.scalar_type() == TYPES[(int)dtype];
}
template <>
inline bool is_index(const Tensor& t) {
  return t.scalar_type() == ScalarType::Long;
}
template <>
inline bool is_bool(const Tensor& t) {
  return t.scalar_type() == ScalarType::Bool;
}
template <>
inline std::string type_name(const Tensor& t) {
  return torch::headeronly::toString(t.scalar_type());
}

template <>
inline ScalarType statistics_dtype(const Tensor& t) {
  return t.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline int64_t size_of(ScalarType dtype) {
  return dtype == ScalarType::Double || dtype == ScalarType::Long ? 8
         : dtype == ScalarType::Float                             ? 4
         : dtype == ScalarType::Byte                              ? 1
                                                                  : 2;
}

// The strides of a tensor whose elements lie in order.
struct InOrder {
  int64_t strides[64], bytes;
  InOrder(const Shape& shape, ScalarType dtype) : bytes(product_of(shape, size_of(dtype))) {
    if (shape.dim > 64) throw std::runtime_error("scratchnet: a tensor may have at most 64 axes");
    int64_t stride = 1;
    for (int64_t i = shape.dim - 1; i >= 0; i--) {
      strides[i] = stride;
      if (bytes) stride *= shape.sizes[i];  // without elements they mean nothing, and the other sizes may wrap
    }
  }
};

// A contiguous tensor, its memory not yet touched.
inline Tensor empty(const int64_t* sizes, int64_t dim, ScalarType dtype, int32_t device_type, int32_t device) {
  AtenTensorHandle handle;
  const InOrder layout({sizes, dim}, dtype);
  if (aoti_torch_empty_strided(dim, sizes, layout.strides, (int32_t)dtype, device_type, device, &handle) != AOTI_TORCH_SUCCESS)
    throw std::runtime_error("scratchnet: out of memory: a result of shape " + text({sizes, dim}) + " needs " +
                             std::to_string(layout.bytes) + " bytes; use smaller batches, or free what is not needed");
  return Tensor(handle);
}

template <>
inline ScalarType double_dtype<Tensor>() {
  return ScalarType::Double;
}

template <>
inline ScalarType index_dtype<Tensor>() {
  return ScalarType::Long;
}

template <>
inline bool has_dtype(const Tensor& t, const ScalarType& dtype) {
  return t.scalar_type() == dtype;
}
template <>
inline Tensor converted(const Tensor& t, const ScalarType& dtype) {
  return torch::stable::to(t, dtype);
}
template <>
inline void fill_zeros(const Tensor& t) {
  Tensor same = t;
  torch::stable::zero_(same);
}
template <>
inline Tensor copy_in_order(const Tensor& t) {
  return torch::stable::contiguous(t);
}

}  // namespace scratchnet
