// Soft clipping, rung 1: the formula, one element after another.
//
//   forward   y  = x / (1 + |x| / limit)                          reads 1, writes 1 tensor
//   backward  dx = grad / (1 + |x| / limit)^2                     reads 2, writes 1
#include <cmath>

#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/soft_clip.h"

namespace scratchnet {
namespace {

template <class T>
void forward(const T* x, T* y, int64_t n, double limit) {
  for (int64_t i = 0; i < n; i++) {
    const acc_t<T> v = load1(x + i);
    store1(y + i, v / (1 + std::abs(v) / acc_t<T>(limit)));
  }
}

template <class T>
void backward(const T* grad, const T* x, T* dx, int64_t n, double limit) {
  for (int64_t i = 0; i < n; i++) {
    const acc_t<T> d = 1 + std::abs(load1(x + i)) / acc_t<T>(limit);
    store1(dx + i, load1(grad + i) / (d * d));
  }
}

}  // namespace

SN_DEFINE_RUNG(SoftClipKernels, soft_clip_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
