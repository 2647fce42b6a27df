// The stream on which torch wants the next kernel of a device to run.
#pragma once
#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <stdexcept>
#include <string>

namespace scratchnet {

// Of all that the CUDA module calls, this alone is in torch's CUDA library, so it is looked up where torch has loaded that
// library: linked to it, the module could be neither built nor imported beside a torch without CUDA.
inline void* current_cuda_stream(int32_t device) {
  using CurrentStream = AOTITorchError(int32_t, void**);
  static const auto current = [] {
    const char* const name = "aoti_torch_get_current_cuda_stream";
    void* const library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
    void* const found = library ? dlsym(library, name) : nullptr;
    if (!found)
      throw std::runtime_error(std::string("scratchnet: this torch has no ") + name +
                               "; install torch 2.10 or later with CUDA");
    return (CurrentStream*)found;
  }();
  void* stream;
  if (current(device, &stream) != AOTI_TORCH_SUCCESS)
    throw std::runtime_error("scratchnet: torch knows no current stream of CUDA device " + std::to_string(device));
  return stream;
}

}  // namespace scratchnet
