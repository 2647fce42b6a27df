// The most arithmetic that this CPU does: what a kernel's speed is a share of.
#pragma once
#include "ops/table.h"

namespace scratchnet {

struct RoofKernels {
  // On every thread `rounds` rounds of multiply-adds that need nothing but registers; how many operations those are in all.
  int64_t (*multiply_add)(const On&, int64_t rounds);  // f32 or f64
};

const RoofKernels& roof_kernels(int64_t rung);

}  // namespace scratchnet
