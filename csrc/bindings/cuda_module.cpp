// The Python module scratchnet._cuda: what was compiled. The torch operators register themselves when it is loaded (cuda_ops.cpp).
#include <pybind11/pybind11.h>

namespace py = pybind11;

extern const char* const sn_build_facts[][2];  // (name, value), written by setup.py; a null name ends it

namespace scratchnet {

// The stable ABI does not tell torch's settings; Python does. Kernels run in threads of autograd too.
bool tf32_is_asked_for() {
  const py::gil_scoped_acquire python;
  const py::object matmul = py::module_::import("torch.backends.cuda").attr("matmul");
  return matmul.attr("fp32_precision").cast<std::string>() == "tf32";
}

}  // namespace scratchnet

PYBIND11_MODULE(_cuda, module) {
  module.def(
      "build_info",
      [] {
        py::dict info;
        for (auto fact = sn_build_facts; (*fact)[0]; ++fact) info[(*fact)[0]] = (*fact)[1];
        return info;
      },
      "What was compiled: compiler, architectures, torch (whose headers), python.");
}
