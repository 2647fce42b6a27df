// Rotary embedding, rung 2: whole registers.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b         reads 1, writes 1 tensor
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the same: the backward
//
// Halves lie apart, so that a register holds the first numbers of as many pairs as it has lanes, and another one the second
// ones. Interleaved pairs are neighbours in one register: the same register with neighbours swapped has the other one of each.
#include "cpu/ladder.h"
#include "rotate.h"

namespace scratchnet {
namespace {

template <class T, bool interleaved, bool inverse>
bool rotate(const Rope& p) {
  if (!p.positions_fit()) return false;
  for (const RopeHeads& part : p.part)
    for (int64_t b = 0; part.y && b < p.batch; b++)
      for (int64_t h = 0; h < part.heads; h++)
        for (int64_t t = 0; t < p.tokens; t++) {
          const auto *cos = p.angles<acc_t<T>>(p.cos, b, p.row(b, t)), *sin = p.angles<acc_t<T>>(p.sin, b, p.row(b, t));
          rotate_head<T, interleaved, inverse>(part.from<T>(b, h, t), part.to<T>(b, h, t), cos, sin, p.rotary, p.columns);
        }
  return true;
}

template <class T>
bool rotate(const Rope& p) {
  if (p.interleaved) return (p.inverse ? rotate<T, true, true> : rotate<T, true, false>)(p);
  return (p.inverse ? rotate<T, false, true> : rotate<T, false, false>)(p);
}

}  // namespace

SN_DEFINE_RUNG(RopeKernels, rope_2) = {SN_TYPED(rotate)};

}  // namespace scratchnet
