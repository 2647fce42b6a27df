// Rotary embedding, rung 3: threads that share the tokens, and the heads in the order in which they lie in memory.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b         reads 1, writes 1 tensor
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the same: the backward
//
// A projection leaves the heads of a token side by side. Walked head by head, as in rung 2, every row is a jump of a token's
// length; walked token by token, memory is read in order. Where the tokens of a head are side by side, two heads are walked
// together, so that angles are read half as often, and a few tokens at a time for all heads of query and key: from the third
// head on, their angles are in the second-level cache.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "rotate.h"

namespace scratchnet {
namespace {

constexpr int64_t TOKENS = 64;  // 128 cosines and sines of each are 64 KiB; fewer only where a thread would be idle
constexpr int64_t HEADS = 2;    // more run into one another in the cache where they are a power of two apart

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
        for (int64_t h0 = 0; h0 < heads; h0 += group)
          for (int64_t t = first; t < last; t++) {
            const int64_t row = p.row(b, t);
            const auto *cos = p.angles<acc_t<T>>(p.cos, b, row), *sin = p.angles<acc_t<T>>(p.sin, b, row);
            for (int64_t h = h0; h < min(h0 + group, heads); h++)
              rotate_head<T, interleaved, inverse>(part.from<T>(b, h, t), part.to<T>(b, h, t), cos, sin, p.rotary, p.columns);
          }
      }
    }
  });
  return true;
}

template <class T>
bool rotate(const Rope& p) {
  if (p.interleaved) return (p.inverse ? rotate<T, true, true> : rotate<T, true, false>)(p);
  return (p.inverse ? rotate<T, false, true> : rotate<T, false, false>)(p);
}

}  // namespace

SN_DEFINE_RUNG(RopeKernels, rope_3) = {SN_TYPED(rotate)};

}  // namespace scratchnet
