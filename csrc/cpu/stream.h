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
#if defined(__AVX512F__)
  _mm512_stream_si512((__m512i*)to, _mm512_load_si512(line));
#elif defined(__AVX2__)
  for (int64_t b = 0; b < LINE; b += 32) _mm256_stream_si256((__m256i*)(to + b), _mm256_load_si256((const __m256i*)(line + b)));
#elif defined(__SSE2__)
  for (int64_t b = 0; b < LINE; b += 16) _mm_stream_si128((__m128i*)(to + b), _mm_load_si128((const __m128i*)(line + b)));
#else
  for (int64_t b = 0; b < LINE; b += 32) {
    const auto first = vld1q_u8((const uint8_t*)line + b), second = vld1q_u8((const uint8_t*)line + b + 16);
    asm volatile("stnp %q1, %q2, [%0]" : : "r"(to + b), "w"(first), "w"(second) : "memory");
  }
#endif
}
#endif

// Writes n elements; fill(j, count, destination) makes those from j on. If asked, and if p begins a cache line, every line is
// made in a buffer and written at once, past the cache.
template <class T, class F>
SN_INLINE void write(T* p, int64_t n, bool stream, const F& fill) {
  int64_t j = 0;
#ifdef SN_STREAMS
  constexpr int64_t N = LINE / sizeof(T);
  if (stream && (uintptr_t)p % LINE == 0)
    for (; j + N <= n; j += N) {
      alignas(LINE) T line[N];
      fill(j, N, line);
      stream_line((char*)(p + j), (const char*)line);
    }
#endif
  if (j < n) fill(j, n - j, p + j);
}

// After the last write of a thread: what was written past the cache is now seen by all.
SN_INLINE void finish_writes() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace scratchnet
