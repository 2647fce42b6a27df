// torch.ops.scratchnet.<op>_forward and <op>_backward for CUDA tensors, beside those for CPU tensors (torch_ops.cpp).
#include "cuda_tensors.h"  // first: the operators find their tensor type's functions here

#include "cuda_ops.h"

namespace scratchnet {

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&Guarded<&op<Tensor>>::call));
STABLE_TORCH_LIBRARY_IMPL(scratchnet, CUDA, m) { SN_CUDA_OPS(SN_REGISTER) }

}  // namespace scratchnet
