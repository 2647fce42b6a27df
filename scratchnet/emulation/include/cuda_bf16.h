// bfloat16 as the toolkit's header has it: the conversions, by the CPU column's functions.
#pragma once
#include "cpu/convert.h"

struct __nv_bfloat16 {
  uint16_t bits;
};
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return {bits}; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline float __bfloat162float(__nv_bfloat16 x) { return scratchnet::to_float(scratchnet::bf16{x.bits}); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return {scratchnet::to_bf16(x).bits}; }
