// torch.ops.scratchnet.<op>_forward and <op>_backward for CUDA tensors, beside those for CPU tensors (torch_ops.cpp).
#include "cuda_tensors.h"
#include "operators.h"

namespace scratchnet {

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&Guarded<&op<Tensor>>::call));
STABLE_TORCH_LIBRARY_IMPL(scratchnet, CUDA, m) { SN_OPERATORS(SN_REGISTER) }

}  // namespace scratchnet
