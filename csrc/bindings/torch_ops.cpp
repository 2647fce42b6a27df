// torch.ops.scratchnet.<op>_forward and <op>_backward for CPU tensors.
#include "cpu_tensors.h"
#include "operators.h"

namespace scratchnet {

#define SN_REGISTER(op) m.impl(#op, TORCH_BOX(&op<Tensor>));
STABLE_TORCH_LIBRARY_IMPL(scratchnet, CPU, m) { SN_OPERATORS(SN_REGISTER) }

}  // namespace scratchnet
