// The Python module scratchnet._cuda: what was compiled. The torch operators register themselves when it is loaded
// (cuda_ops.cpp).
#include "build_facts.h"

namespace py = pybind11;

namespace scratchnet {

// The stable ABI does not expose torch's settings; Python does. Kernels also run in the threads of autograd.
bool tf32_is_asked_for() {
  const py::gil_scoped_acquire python;
  const py::object matmul = py::module_::import("torch.backends.cuda").attr("matmul");
  return matmul.attr("fp32_precision").cast<std::string>() == "tf32";
}

bool determinism_is_asked_for() {
  const py::gil_scoped_acquire python;
  return py::module_::import("torch").attr("are_deterministic_algorithms_enabled")().cast<bool>();
}

}  // namespace scratchnet

PYBIND11_MODULE(_cuda, module) {
  module.def("build_info", build_facts, "What was compiled: compiler, architectures, torch (whose headers), python.");
}
