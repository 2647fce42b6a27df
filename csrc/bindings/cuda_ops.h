// The operators of csrc/cuda as one list, for the files that register them: cuda_ops.cpp and that of tests/cuda_emulation.
//
// Such a file defines `fresh`, `stream_of(tensor)`, `tf32_is_asked_for()` and `determinism_is_asked_for()` first. Then the
// operators are those of the CPU column, word for word: the include path leads "dispatch.h" to csrc/cuda, and with it the
// tables to the CUDA kernels.
#pragma once
#include <vector>

#include "dispatch.h"
#include "tensors.h"

namespace scratchnet {

// Scratch memory of a call is torch's: it may be given back as soon as the kernels are launched, for what gets it next comes
// later on the same stream.
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

inline TorchLaunch on(const Tensor& t) { return {dtype_of(t), stream_of(t)}; }

}  // namespace scratchnet

#include "cross_entropy_ops.h"
#include "gather_ops.h"
#include "gelu_ops.h"
#include "layer_norm_ops.h"
#include "linear_cross_entropy_ops.h"
#include "matmul_ops.h"

#define SN_CUDA_OPS(X)                                                                             \
  SN_CROSS_ENTROPY_OPS(X) SN_GATHER_OPS(X) SN_GELU_OPS(X) SN_LAYER_NORM_OPS(X)                     \
  SN_LINEAR_CROSS_ENTROPY_OPS(X) SN_MATMUL_OPS(X)
