// The Python module scratchnet._C: what was compiled, what this CPU runs, and the kernels for NumPy arrays.
// The torch operators register themselves when it is loaded (torch_ops.cpp).
#include <pybind11/pybind11.h>

#include "build_facts.h"
#include "cpu/isa.h"
#include "cpu/pages.h"
#include "cpu/parallel.h"
#include "ops/roof.h"

namespace py = pybind11;
using scratchnet::Isa;

namespace scratchnet {
void bind_numpy(py::module_& module);  // numpy_ops.cpp
}

static py::dict build_info() {
  py::dict info = build_facts();
  info["isas"] = info["isas"].attr("split")();
  return info;
}

static py::dict cpu_info() {
  py::list supported;
  for (Isa isa : scratchnet::ISAS)
    if (scratchnet::isa_supported(isa)) supported.append(scratchnet::isa_name(isa));
  py::dict info;
  info["isa"] = scratchnet::isa_name(scratchnet::isa());
  info["isas_supported"] = supported;
  info["threads"] = sn_num_threads();
  return info;
}

// Without the GIL: other Python threads run on while all cores compute.
static int64_t multiply_add(bool wide, int64_t rounds) {
  py::gil_scoped_release release;
  return scratchnet::roof_kernels(1).multiply_add({wide ? scratchnet::DType::f64 : scratchnet::DType::f32}, rounds);
}

PYBIND11_MODULE(_C, module) {
  module.def("build_info", build_info,
             "What was compiled: version, commit, compiler, flags, isas, torch (whose headers), python, sanitizer.");
  module.def("cpu_info", cpu_info,
             "isa: the instruction set in use; isas_supported: what this CPU runs; threads of torch's pool.");
  module.def("multiply_add", multiply_add, py::arg("wide"), py::arg("rounds"),
             "Multiply-adds of float32 (wide: float64) in registers, on every thread: the number of operations.");
  module.def("release_kept_pages", sn_release_kept_pages,
             "Returns to the system what scratchnet keeps for its next large results: the number of bytes.");
  scratchnet::bind_numpy(module);
}
