// CPU tensors for the operators.
#pragma once
#include <sys/mman.h>

#include "dispatch.h"
#include "tensors.h"

namespace scratchnet {

constexpr bool ON_HOST = true;
inline On on(const Tensor& t) { return dtype_of(t); }

// Memory of this size comes from the system page by page, and a page fault every 4 KiB costs more than the arithmetic: large
// results ask for huge pages first (measured for 100 MB: 57 ms with small pages, 12-16 ms with huge ones).
template <class>
Tensor fresh(const int64_t* sizes, int64_t dim, ScalarType dtype) {
  Tensor t = empty(sizes, dim, dtype, aoti_torch_device_type_cpu(), 0);
#ifdef MADV_HUGEPAGE
  constexpr int64_t HUGE_PAGE = 1 << 21;
  const int64_t bytes = t.numel() * t.element_size();
  if (bytes >= 2 * HUGE_PAGE) {
    const uintptr_t begin = ((uintptr_t)t.mutable_data_ptr() + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const uintptr_t end = ((uintptr_t)t.mutable_data_ptr() + bytes) / HUGE_PAGE * HUGE_PAGE;
    madvise((void*)begin, end - begin, MADV_HUGEPAGE);
  }
#endif
  return t;
}

}  // namespace scratchnet
