// One element at a time: loads and stores that convert 16-bit floats to the type they are computed in. The 1 tells them from
// load and store of simd.h, which move a whole register.
#pragma once
#include "cpu/convert.h"

namespace scratchnet {
namespace {

SN_INLINE float load1(const float* p) { return *p; }
SN_INLINE double load1(const double* p) { return *p; }
SN_INLINE float load1(const bf16* p) { return to_float(*p); }
SN_INLINE float load1(const f16* p) { return to_float(*p); }
SN_INLINE void store1(float* p, float x) { *p = x; }
SN_INLINE void store1(double* p, double x) { *p = x; }
SN_INLINE void store1(bf16* p, float x) { *p = to_bf16(x); }
SN_INLINE void store1(f16* p, float x) { *p = to_f16(x); }

}  // namespace
}  // namespace scratchnet
