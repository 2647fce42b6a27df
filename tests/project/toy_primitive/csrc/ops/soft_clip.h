// Soft clipping: y = x / (1 + |x| / limit).
#pragma once
#include "ops/table.h"

namespace scratchnet {

// All tensors are contiguous and have n elements.
struct SoftClipKernels {
  void (*forward)(const On&, const void* x, void* y, int64_t n, double limit);
  void (*backward)(const On&, const void* grad, const void* x, void* dx, int64_t n, double limit);
};

const SoftClipKernels& soft_clip_kernels(int64_t rung);

}  // namespace scratchnet
