// torch.ops.scratchnet_emulated.<op>_forward and <op>_backward: the CUDA column's operators and kernels on CPU tensors.
#include "bindings/torch_launch.h"
#include "operators.h"

namespace scratchnet {

template <>
inline Tensor fresh<Tensor>(const int64_t* sizes, int64_t dim, const ScalarType& dtype) {
  return empty(sizes, dim, dtype, aoti_torch_device_type_cpu(), 0);
}
cudaStream_t stream_of(const Tensor&) { return nullptr; }
static bool tf32 = false, determinism = false;
bool tf32_is_asked_for() { return tf32; }
bool determinism_is_asked_for() { return determinism; }

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&op<Tensor>));
STABLE_TORCH_LIBRARY_IMPL(scratchnet_emulated, CPU, m) { SN_OPERATORS(SN_REGISTER) }

}  // namespace scratchnet

#define SN_EXPORT extern "C" __attribute__((visibility("default")))
SN_EXPORT void sn_emulation_tf32(bool asked) { scratchnet::tf32 = asked; }
SN_EXPORT void sn_emulation_determinism(bool asked) { scratchnet::determinism = asked; }
