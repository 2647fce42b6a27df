// Soft clipping, rung 2: whole registers, split over the threads.
//
//   forward   y  = x / (1 + |x| / limit)                          reads 1, writes 1 tensor
//   backward  dx = grad / (1 + |x| / limit)^2                     reads 2, writes 1
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "ops/soft_clip.h"

namespace scratchnet {
namespace {

template <class A, class V>
SN_INLINE V divisor(V x, A limit) {
  return 1 + (x > 0 ? x : -x) / limit;
}

template <class T>
void forward(const T* x, T* y, int64_t n, double limit) {
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
    map<T>(begin, end, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      const auto v = get(x + i);
      put(y + i, v / divisor(v, acc_t<T>(limit)));
    });
  });
}

template <class T>
void backward(const T* grad, const T* x, T* dx, int64_t n, double limit) {
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
    map<T>(begin, end, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      const auto d = divisor(get(x + i), acc_t<T>(limit));
      put(dx + i, get(grad + i) / (d * d));
    });
  });
}

}  // namespace

SN_DEFINE_RUNG(SoftClipKernels, soft_clip_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
