// scratchnet._C.<op>_forward and <op>_backward for NumPy arrays, on the same kernels and the same thread pool.
#include "arrays.h"
#include "operators.h"

namespace scratchnet {

#define SN_DEFINE(op) module.def(#op, &op<Array>);
void bind_numpy(pybind11::module_& module) { SN_OPERATORS(SN_DEFINE) }

}  // namespace scratchnet
