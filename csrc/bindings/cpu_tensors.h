// CPU tensors for the operators.
#pragma once
#include <dlfcn.h>

#include "cpu/pages.h"
#include "tensors.h"

namespace scratchnet {

template <>
inline auto on(const Tensor& t) {
  return On{dtype_of(t)};
}

// torch's torch_from_blob, or null on torch 2.10, which has none yet and could not load a module that links to it.
using FromBlob = AOTITorchError(void* data, int64_t dim, const int64_t* sizes, const int64_t* strides, int64_t storage_offset,
                                int32_t dtype, int32_t device_type, int32_t device, AtenTensorHandle* result, int32_t layout,
                                const uint8_t* metadata, int64_t metadata_size, void (*deleter)(void* data, void* context),
                                void* context);
inline FromBlob* from_blob() {
  static FromBlob* const found = (FromBlob*)dlsym(RTLD_DEFAULT, "torch_from_blob");
  return found;
}

// A large result lies in memory that scratchnet keeps (pages.h). Like all memory that torch did not
// allocate, its storage has a fixed size: it can be shared, viewed and saved, but Tensor.resize_ cannot make it larger.
template <>
inline Tensor fresh<Tensor>(const int64_t* sizes, int64_t dim, const ScalarType& dtype) {
  const InOrder layout({sizes, dim}, dtype);
  const int32_t cpu = aoti_torch_device_type_cpu();
  if (layout.bytes >= LARGE && from_blob())
    if (void* const memory = sn_take_pages(layout.bytes)) {
      const auto give = [](void* memory, void*) { (void)sn_give_pages(memory); };
      AtenTensorHandle handle;
      if (from_blob()(memory, dim, sizes, layout.strides, 0, (int32_t)dtype, cpu, -1, &handle, aoti_torch_layout_strided(),
                      nullptr, 0, give, nullptr) == AOTI_TORCH_SUCCESS)
        return Tensor(handle);
      sn_give_pages(memory);
    }
  try {
    return empty(sizes, dim, dtype, cpu, 0);
  } catch (const std::runtime_error&) {
    if (!sn_release_kept_pages()) throw;
    return empty(sizes, dim, dtype, cpu, 0);
  }
}

}  // namespace scratchnet
