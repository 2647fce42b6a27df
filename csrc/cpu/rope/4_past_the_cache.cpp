// Rotary embedding, rung 4: large results are written past the cache.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b         reads 1, writes 1 tensor
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the same: the backward
//
// A line of memory is read before a part of it is written, unless it is written as a whole, past the cache. So the numbers of a
// head are made in a buffer, which stays in the first-level cache, and copied from there line by line: two passes over memory
// in place of three.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "cpu/stream.h"
#include "rotate.h"

namespace scratchnet {
namespace {

constexpr int64_t TOKENS = 64;        // 128 cosines and sines of each are 64 KiB; fewer only where a thread would be idle
constexpr int64_t HEADS = 2;          // more run into one another in the cache where they are a power of two apart
constexpr int64_t HEAD_BYTES = 4096;  // larger heads, and those that begin within a line, are written in the usual way

template <class T, bool interleaved, bool inverse>
SN_INLINE void stream_head(const T* x, T* y, const acc_t<T>* cos, const acc_t<T>* sin, int64_t rotary, int64_t columns) {
#ifdef SN_STREAMS
  const int64_t bytes = columns * (int64_t)sizeof(T), whole = bytes / LINE * LINE;
  if (bytes <= HEAD_BYTES && (uintptr_t)y % LINE == 0) {
    alignas(LINE) T head[HEAD_BYTES / sizeof(T)];
    rotate_head<T, interleaved, inverse>(x, head, cos, sin, rotary, columns);
    for (int64_t i = 0; i < whole; i += LINE) stream_line((char*)y + i, (const char*)head + i);
    memcpy((char*)y + whole, (const char*)head + whole, bytes - whole);
    return;
  }
#endif
  rotate_head<T, interleaved, inverse>(x, y, cos, sin, rotary, columns);
}

template <class T, bool interleaved, bool inverse>
bool rotate(const Rope& p) {
  if (!p.positions_fit()) return false;
  const int64_t step = max(1, min(TOKENS, p.batch * p.tokens / sn_num_threads())), blocks = ceil_div(p.tokens, step);
  const int64_t elements = p.columns * (p.part[0].heads + p.part[1].heads) * step;
  parallel_for(0, p.batch * blocks, 1 + GRAIN / (elements + 1), [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
      const int64_t b = block / blocks, first = block % blocks * step, last = min(first + step, p.tokens);
      for (const RopeHeads& part : p.part) {
        const int64_t heads = part.y ? part.heads : 0, group = part.y_head < part.y_token ? heads : HEADS;
        const bool large = p.batch * p.tokens * heads * p.columns * (int64_t)sizeof(T) >= STREAM_BYTES;
        for (int64_t h0 = 0; h0 < heads; h0 += group)
          for (int64_t t = first; t < last; t++) {
            const int64_t row = p.row(b, t);
            const auto *cos = p.angles<acc_t<T>>(p.cos, b, row), *sin = p.angles<acc_t<T>>(p.sin, b, row);
            for (int64_t h = h0; h < min(h0 + group, heads); h++) {
              const T* x = part.from<T>(b, h, t);
              T* y = part.to<T>(b, h, t);
              if (large) stream_head<T, interleaved, inverse>(x, y, cos, sin, p.rotary, p.columns);
              else rotate_head<T, interleaved, inverse>(x, y, cos, sin, p.rotary, p.columns);
            }
          }
      }
    }
    finish_writes();
  });
  return true;
}

template <class T>
bool rotate(const Rope& p) {
  if (p.interleaved) return (p.inverse ? rotate<T, true, true> : rotate<T, true, false>)(p);
  return (p.inverse ? rotate<T, false, true> : rotate<T, false, false>)(p);
}

}  // namespace

SN_DEFINE_RUNG(RopeKernels, rope_4) = {SN_TYPED(rotate)};

}  // namespace scratchnet
