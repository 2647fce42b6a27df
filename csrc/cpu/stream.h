// Writes past the cache: they save reading a line that is overwritten as a whole, and leave in the cache what is there.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "cpu/convert.h"

namespace scratchnet {
namespace {

constexpr int64_t STREAM_BYTES = 1 << 23;  // results of this size leave the cache before they are read
constexpr int64_t LINE = 64;               // bytes of a cache line

#if defined(__SSE2__) || defined(__aarch64__)
#define SN_STREAMS
// A copy of the LINE bytes, past the cache.
SN_INLINE void stream_line(char* to, const char* line) {
#if defined(__SSE2__)
  for (int64_t b = 0; b < LINE; b += 16) _mm_stream_si128((__m128i*)(to + b), _mm_load_si128((const __m128i*)(line + b)));
#else
  for (int64_t b = 0; b < LINE; b += 32) {
    const auto first = vld1q_u8((const uint8_t*)line + b), second = vld1q_u8((const uint8_t*)line + b + 16);
    asm volatile("stnp %q1, %q2, [%0]" : : "r"(to + b), "w"(first), "w"(second) : "memory");
  }
#endif
}
#endif

// After the last write of a thread: what was written past the cache is now seen by all.
SN_INLINE void finish_writes() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace scratchnet
