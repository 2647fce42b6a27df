// The peak arithmetic of this CPU, to which the speed of a kernel is compared.
#pragma once
#include "ops/table.h"

namespace scratchnet {

struct RoofKernels {
  // Runs `rounds` rounds of multiply-adds in registers on every thread; returns the number of operations.
  int64_t (*multiply_add)(const On&, int64_t rounds);  // f32 or f64
};

const RoofKernels& roof_kernels(int64_t rung);

}  // namespace scratchnet
