// The moments of Adam in 8 bits: 256 numbers share a float32 scale, their largest magnitude, and each is a code relative to it.
//
// A code is an exponent and 3 bits of fraction, as in a float, counted down from 1:
//   m: a sign and 127 codes, from 1 to 1.25 / 2^16; what is smaller is 0
//   v: 256 codes, from 1 to 1.125 / 2^32; what is smaller is that, since too small a denominator would make too large a step
// So m and the root of v reach equally far down.
//
// Rounding is random, up as often as the number is near the upper code, so that its mean is exact. Rounded to nearest, v would
// stand still: 1 / 1000 of a new square moves it by less than half a step unless the square is 60 times as large. The random
// bits depend on the step and on the place in the parameter alone.
//
// Every loop here is over a block in cache, without branches, for the compiler to vectorise.
#pragma once
#include <math.h>
#include <string.h>

#include "cpu/scalar.h"
#include "ops/dropout.h"
#include "ops/optim.h"

namespace scratchnet {
namespace {

SN_INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
SN_INLINE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

constexpr uint32_t SIGN = 0x80000000;
constexpr float LEAST = 1e-37f;                        // of a scale; 1 / LEAST is finite, and moments so small are nothing
constexpr int DROPPED = 20, CHANCE = 16;               // bits of a float's fraction that a code lacks; that rounding draws
constexpr int ONE = 127 << 3;                          // exponent and 3 bits of fraction of 1.0f
constexpr int M_BASE = ONE - 127, V_BASE = ONE - 255;  // those of code 0

// Of numbers that share a scale. As integers, NaN is larger than infinity and that than every number.
SN_INLINE float largest(const float* x, int64_t n) {
  int32_t most = 0;  // 32 bits with a sign have a maximum in every vector unit
  for (int64_t i = 0; i < n; i++) {
    const int32_t size = int32_t(bits_of(x[i]) & ~SIGN);
    most = size > most ? size : most;
  }
  return float_of(uint32_t(most));
}

// x: exponent and fraction, without sign. The carry of the chance rounds up.
SN_INLINE int32_t code_of(uint32_t x, uint32_t chance, int32_t base, int32_t most) {
  const int32_t code = int32_t((x + (chance << (DROPPED - CHANCE))) >> DROPPED) - base;
  const int32_t up = code > 0 ? code : 0;
  return up < most ? up : most;
}

// Codes are bytes, which might be anything's to a compiler: without restrict it reads everything again after each store.
SN_INLINE void decode_m(float* __restrict m, const uint8_t* __restrict codes, int64_t n, float scale) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t code = codes[i], size = code & 127;
    m[i] = float_of((size ? (size + M_BASE) << DROPPED : 0) | (code & 128) << 24) * scale;
  }
}
SN_INLINE void decode_v(float* __restrict v, const uint8_t* __restrict codes, int64_t n, float scale) {
  for (int64_t i = 0; i < n; i++) v[i] = float_of((codes[i] + uint32_t(V_BASE)) << DROPPED) * scale;
}
// by: one over their scales
SN_INLINE void encode(uint8_t* __restrict m_codes, uint8_t* __restrict v_codes, const float* __restrict m,
                      const float* __restrict v, int64_t n, float by_m, float by_v, uint64_t key, uint32_t place) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t x = bits_of(m[i] * by_m), y = bits_of(v[i] * by_v), random = dropout_bits(key, place + uint32_t(i));
    m_codes[i] = uint8_t(code_of(x & ~SIGN, random & ((1 << CHANCE) - 1), M_BASE, 127) | x >> 31 << 7);
    v_codes[i] = uint8_t(code_of(y, random >> CHANCE, V_BASE, 255));
  }
}

struct Block {
  float m[CODES], v[CODES];  // decoded

  Block(const Slot& slot, int64_t begin, int64_t n)
      : n(n),
        begin(begin),
        key(dropout_key((int64_t)slot.step, 0)),
        m_codes((uint8_t*)slot.state[0] + begin),
        v_codes((uint8_t*)slot.state[1] + begin),
        m_scale((float*)slot.state[2] + begin / CODES),
        v_scale(m_scale + (slot.numel + CODES - 1) / CODES) {
    decode_m(m, m_codes, n, *m_scale);
    decode_v(v, v_codes, n, *v_scale);
  }

  void write() const { encode(m_codes, v_codes, m, v, n, inverse(m, m_scale), inverse(v, v_scale), key, uint32_t(begin)); }

 private:
  const int64_t n, begin;
  const uint64_t key;
  uint8_t *const m_codes, *const v_codes;
  float *const m_scale, *const v_scale;

  // Writes the scale and returns one over it, or over a number that still has an inverse, 2 ulp larger: times that the largest
  // is never below 1, whose code it has to get. A block with a number that is not finite becomes NaN.
  float inverse(const float* x, float* scale) const {
    const float most = largest(x, n);
    *scale = most < INFINITY ? most : NAN;
    return (1 + 0x1p-22f) / (most < LEAST ? LEAST : most);
  }
};

}  // namespace
}  // namespace scratchnet
