// What launchers get for torch tensors: for CUDA tensors (cuda_tensors.h) and for those of tests/cuda_emulation, which define
// the functions that are only declared here. The operators are those of the CPU column.
#pragma once
#include <vector>

#include "cuda/ladder.h"
#include "tensors.h"

namespace scratchnet {

template <>
inline Tensor fresh<Tensor>(const int64_t* sizes, int64_t dim, const ScalarType&);
cudaStream_t stream_of(const Tensor&);
bool tf32_is_asked_for();
bool determinism_is_asked_for();

// The scratch memory of a call is torch's. It may be freed as soon as the kernels are launched: its next user runs later on the
// same stream.
class TorchLaunch final : public Launch {
 public:
  using Launch::Launch;
  bool tf32() const override { return tf32_is_asked_for(); }
  bool deterministic() const override { return determinism_is_asked_for(); }

 private:
  mutable std::vector<Tensor> scratch;

  void* allocate_bytes(int64_t bytes) const override {
    scratch.push_back(fresh<Tensor>(&bytes, 1, ScalarType::Byte));
    return scratch.back().mutable_data_ptr();
  }
};

template <>
inline auto on(const Tensor& t) {
  return TorchLaunch(dtype_of(t), stream_of(t));
}
template <>
constexpr bool ON_HOST<Tensor> = false;

}  // namespace scratchnet
