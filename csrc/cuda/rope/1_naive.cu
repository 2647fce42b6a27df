// Rotary embedding, rung 1: one thread per pair.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b         reads 1, writes 1 tensor
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the same: the backward
#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/rope.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

// Threads of a head: one for each pair, then one for each number that is copied.
template <class T>
__global__ void rope_rotate_kernel(const __grid_constant__ Rope p, int which) {
  const RopeHeads& part = p.part[which];
  const int64_t pairs = p.rotary / 2, width = pairs + p.columns - p.rotary, n = thread_index();
  const int64_t i = n % width, t = n / width % p.tokens, h = n / width / p.tokens % part.heads;
  const int64_t batch = n / width / p.tokens / part.heads;
  if (batch >= p.batch) return;
  const T* x = part.from<T>(batch, h, t);
  T* y = part.to<T>(batch, h, t);
  const int64_t row = p.row(batch, t);
  SN_ASSERT(!p.positions || (0 <= row && row < p.rows));
  if (i >= pairs) {
    y[pairs + i] = x[pairs + i];
    return;
  }
  const acc_t<T>*cos = p.angles<acc_t<T>>(p.cos, batch, row), *sin = p.angles<acc_t<T>>(p.sin, batch, row);
  const int64_t a = p.interleaved ? 2 * i : i, b = p.interleaved ? a + 1 : a + pairs;
  const acc_t<T> x_a = load1(x + a), x_b = load1(x + b);
  store1(y + a, x_a * cos[a] - x_b * (p.inverse ? -sin[b] : sin[a]));
  store1(y + b, x_b * cos[b] + x_a * (p.inverse ? -sin[a] : sin[b]));
}

template <class T>
bool rotate(const Launch& on, const Rope& p) {
  for (int which = 0; which < 2; which++) {
    const int64_t count = p.batch * p.part[which].heads * p.tokens * (p.columns - p.rotary / 2);
    if (p.part[which].y) launch(on, "rope", rope_rotate_kernel<T>, elementwise(count, THREADS), p, which);
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(RopeKernels, rope_1) = {SN_TYPED(rotate)};

}  // namespace scratchnet
