// One element at a time: loads and stores that convert 16-bit floats to the type they are computed in. The 1 tells them from
// load and store of vector.cuh, which move a pack.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "ops/types.h"

namespace scratchnet {
namespace {

__device__ __forceinline__ float load1(const float* p) { return *p; }
__device__ __forceinline__ double load1(const double* p) { return *p; }
__device__ __forceinline__ float load1(const bf16* p) { return __bfloat162float(__ushort_as_bfloat16(p->bits)); }
__device__ __forceinline__ float load1(const f16* p) { return __half2float(__ushort_as_half(p->bits)); }
__device__ __forceinline__ void store1(float* p, float x) { *p = x; }
__device__ __forceinline__ void store1(double* p, double x) { *p = x; }
__device__ __forceinline__ void store1(bf16* p, float x) { p->bits = __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
__device__ __forceinline__ void store1(f16* p, float x) { p->bits = __half_as_ushort(__float2half_rn(x)); }

}  // namespace
}  // namespace scratchnet
