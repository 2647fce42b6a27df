// CUDA tensors for the operators.
#pragma once
#include <torch/csrc/stable/accelerator.h>

#include "cuda_stream.h"
#include "torch_launch.h"

namespace scratchnet {

// On the current device, which is that of the operator's tensors: Guarded, below.
template <>
inline Tensor fresh<Tensor>(const int64_t* sizes, int64_t dim, const ScalarType& dtype) {
  return empty(sizes, dim, dtype, aoti_torch_device_type_cuda(), torch::stable::accelerator::getCurrentDeviceIndex());
}

inline cudaStream_t stream_of(const Tensor& t) { return (cudaStream_t)current_cuda_stream(t.get_device_index()); }

inline const Tensor* tensor(const Tensor& t) { return &t; }
inline const Tensor* tensor(const std::optional<Tensor>& t) { return t ? &*t : nullptr; }
template <class Other>
const Tensor* tensor(const Other&) {
  return nullptr;
}

// An operator with the device of its first tensor as the current one; all the others must be there too, since the kernels
// follow their pointers.
template <auto function>
struct Guarded;
template <class Result, class First, class... Others, Result (*function)(First, Others...)>
struct Guarded<function> {
  static Result call(First first, Others... others) {
    const int32_t device = first.get_device_index();
    const auto there = [device](const Tensor* t) { return !t || (t->is_cuda() && t->get_device_index() == device); };
    if (!there(&first) || !(... && there(tensor(others))))
      throw std::runtime_error("scratchnet: expected all tensors on the same CUDA device; move them with .to(device)");
    const torch::stable::accelerator::DeviceGuard guard(device);
    return function(std::move(first), std::move(others)...);
  }
};

}  // namespace scratchnet
