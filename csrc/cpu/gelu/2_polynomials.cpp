// GELU, rung 2: erf, exp and tanh as polynomials, in place of calls of the C library.
//
//   forward   y  = x Phi(x)                                       reads 1, writes 1 tensor
//   backward  dx = grad (Phi(x) + x phi(x)), phi = Phi'           reads 2, writes 1
//
// A polynomial has no branch and no call, so the compiler keeps it in the loop and the CPU works on several elements at once.
// Those of gate.h take a whole register: here all its lanes hold the same number, and one of the results is used.
#include "cpu/ladder.h"
#include "gate.h"
#include "ops/gelu.h"

namespace scratchnet {
namespace {

template <bool tanh, class A>
SN_INLINE ScalarGate<A> first_lane(A x) {
  const auto [cdf, slope] = gate<tanh, A>(splat(x));
  return {cdf[0], slope[0]};
}

template <class T, bool tanh>
void forward(const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const acc_t<T> v = load1(x + i);
    store1(y + i, v * first_lane<tanh>(v).cdf);
  }
}

template <class T, bool tanh>
void backward(const T* grad, const T* x, T* dx, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const acc_t<T> v = load1(x + i);
    const auto [cdf, slope] = first_lane<tanh>(v);
    store1(dx + i, load1(grad + i) * (cdf + v * slope));
  }
}

}  // namespace

SN_DEFINE_RUNG(GeluKernels, gelu_2) = {
    SN_GELU(forward),
    SN_GELU(backward),
    SN_FROM(gelu_kernels(1), bias_gelu_forward),
    SN_FROM(gelu_kernels(1), bias_gelu_backward),
};

}  // namespace scratchnet
