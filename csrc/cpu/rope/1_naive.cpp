// Rotary embedding, rung 1: one pair after another.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b         reads 1, writes 1 tensor
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the same: the backward
#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/rope.h"

namespace scratchnet {
namespace {

template <class T>
void rotate_head(const Rope& p, const T* x, T* y, const acc_t<T>* cos, const acc_t<T>* sin) {
  for (int64_t pair = 0; pair < p.rotary / 2; pair++) {
    const int64_t a = p.interleaved ? 2 * pair : pair, b = p.interleaved ? a + 1 : a + p.rotary / 2;
    const acc_t<T> x_a = load1(x + a), x_b = load1(x + b);
    const acc_t<T> sin_a = p.inverse ? -sin[b] : sin[a], sin_b = p.inverse ? -sin[a] : sin[b];
    store1(y + a, x_a * cos[a] - x_b * sin_a);
    store1(y + b, x_b * cos[b] + x_a * sin_b);
  }
  for (int64_t j = p.rotary; j < p.columns; j++) y[j] = x[j];
}

template <class T>
bool rotate(const Rope& p) {
  if (!p.positions_fit()) return false;
  for (const RopeHeads& part : p.part)
    for (int64_t b = 0; part.y && b < p.batch; b++)
      for (int64_t h = 0; h < part.heads; h++)
        for (int64_t t = 0; t < p.tokens; t++) {
          const auto *cos = p.angles<acc_t<T>>(p.cos, b, p.row(b, t)), *sin = p.angles<acc_t<T>>(p.sin, b, p.row(b, t));
          rotate_head<T>(p, part.from<T>(b, h, t), part.to<T>(b, h, t), cos, sin);
        }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(RopeKernels, rope_1) = {SN_TYPED(rotate)};

}  // namespace scratchnet
