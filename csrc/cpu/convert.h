// 16-bit floats to float and back, rounded to nearest even: by integer arithmetic, where the CPU has no instruction for it.
#pragma once
#include "ops/types.h"

#define SN_INLINE inline __attribute__((always_inline))

namespace scratchnet {
namespace {

SN_INLINE float to_float(bf16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float y;
  memcpy(&y, &bits, 4);
  return y;
}
SN_INLINE bf16 to_bf16(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return {uint16_t((u >> 16) | 0x40)};  // NaN stays NaN
  return {uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16)};                 // round to nearest even
}
#if defined(__aarch64__)
SN_INLINE float to_float(f16 x) {
  __fp16 half;
  memcpy(&half, &x, 2);
  return half;
}
SN_INLINE f16 to_f16(float x) {
  const __fp16 half = x;
  f16 y;
  memcpy(&y, &half, 2);
  return y;
}
#else
SN_INLINE float to_float(f16 x) {
  // Shift exponent and mantissa into place, multiply by 2^112 to correct the bias: exact for subnormals too.
  const uint32_t sign = uint32_t(x.bits & 0x8000) << 16, rest = uint32_t(x.bits & 0x7fff) << 13;
  uint32_t bits = rest;
  float y;
  memcpy(&y, &bits, 4);
  y *= 0x1p112f;
  memcpy(&bits, &y, 4);
  if (rest >= 0x0f800000) bits = rest | 0x7f800000;  // infinity and NaN
  bits |= sign;
  memcpy(&y, &bits, 4);
  return y;
}
SN_INLINE f16 to_f16(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  const uint32_t sign = (u >> 16) & 0x8000;
  u &= 0x7fffffff;
  if (u > 0x7f800000) return {uint16_t(sign | 0x7e00 | ((u >> 13) & 0x3ff))};
  if (u >= 0x477ff000) return {uint16_t(sign | 0x7c00)};  // rounds past 65504
  float magnitude;
  if (u < 0x38800000) {  // subnormal result: adding 0.5 lets the float unit round at the right bit
    memcpy(&magnitude, &u, 4);
    magnitude += 0.5f;
    memcpy(&u, &magnitude, 4);
    return {uint16_t(sign | (u - 0x3f000000))};
  }
  return {uint16_t(sign | ((u - 0x38000000 + 0xfff + ((u >> 13) & 1)) >> 13))};
}
#endif

}  // namespace
}  // namespace scratchnet
