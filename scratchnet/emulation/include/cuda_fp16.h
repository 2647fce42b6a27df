// float16 as the toolkit's header has it: the conversions, by the CPU column's functions.
#pragma once
#include "cpu/convert.h"

struct __half {
  uint16_t bits;
};
inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline float __half2float(__half x) { return scratchnet::to_float(scratchnet::f16{x.bits}); }
inline __half __float2half_rn(float x) { return {scratchnet::to_f16(x).bits}; }
