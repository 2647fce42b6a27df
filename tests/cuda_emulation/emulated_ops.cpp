// torch.ops.scratchnet_emulated.<op>_forward and <op>_backward: the CUDA column's operators and kernels on CPU tensors.
#include "dispatch.h"
#include "tensors.h"

namespace scratchnet {

template <class>
Tensor fresh(const int64_t* sizes, int64_t dim, ScalarType dtype) {
  return empty(sizes, dim, dtype, aoti_torch_device_type_cpu(), 0);
}
constexpr bool ON_HOST = false;  // as if the tensors were on a device
inline cudaStream_t stream_of(const Tensor&) { return nullptr; }
static bool tf32 = false, determinism = false;
inline bool tf32_is_asked_for() { return tf32; }
inline bool determinism_is_asked_for() { return determinism; }

}  // namespace scratchnet

#include "cuda_ops.h"

namespace scratchnet {

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&op<Tensor>));
STABLE_TORCH_LIBRARY_IMPL(scratchnet_emulated, CPU, m) { SN_CUDA_OPS(SN_REGISTER) }

}  // namespace scratchnet

#define SN_EXPORT extern "C" __attribute__((visibility("default")))
SN_EXPORT void sn_emulation_tf32(bool asked) { scratchnet::tf32 = asked; }
SN_EXPORT void sn_emulation_determinism(bool asked) { scratchnet::determinism = asked; }
