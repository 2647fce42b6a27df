// torch.ops.scratchnet.<op>_forward and <op>_backward for CPU tensors.
#include "cpu_tensors.h"  // first: the operators find their tensor type's functions here

#include "all_ops.h"

namespace scratchnet {

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&op<Tensor>));
STABLE_TORCH_LIBRARY_IMPL(scratchnet, CPU, m) { SN_ALL_OPS(SN_REGISTER) }

}  // namespace scratchnet
