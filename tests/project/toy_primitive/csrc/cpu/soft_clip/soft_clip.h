// Soft clipping: y = x / (1 + |x| / limit).
#pragma once
#include "dispatch.h"
#include "types.h"

namespace scratchnet {

// All tensors are contiguous and have n elements.
struct SoftClipKernels {
  void (*forward)(On, const void* x, void* y, int64_t n, double limit);
  void (*backward)(On, const void* grad, const void* x, void* dx, int64_t n, double limit);
};

SN_LADDER(SoftClipKernels, soft_clip, 2)

}  // namespace scratchnet
