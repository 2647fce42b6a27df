// torch.ops.scratchnet.<op>_forward and <op>_backward for CPU tensors.
#include "tensors.h"  // first: the operators find their tensor type's functions here

#include "cross_entropy_ops.h"
#include "gather_ops.h"
#include "gelu_ops.h"

namespace scratchnet {

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&op<Tensor>));
STABLE_TORCH_LIBRARY_IMPL(scratchnet, CPU, m) { SN_GELU_OPS(SN_REGISTER) SN_CROSS_ENTROPY_OPS(SN_REGISTER) SN_GATHER_OPS(SN_REGISTER) }

}  // namespace scratchnet
