// The most arithmetic that this CPU does: what a kernel's speed is a share of.
#pragma once
#include "dispatch.h"

namespace scratchnet {

struct RoofKernels {
  // On every thread `rounds` rounds of multiply-adds that need nothing but registers; how many operations those are in all.
  int64_t (*multiply_add)(DType, int64_t rounds);  // f32 or f64
};

SN_DECLARE_RUNG(RoofKernels, roof_2)  // there is no naive one

inline const RoofKernels& roof_kernels() { return SN_PICK(roof_2); }

}  // namespace scratchnet
