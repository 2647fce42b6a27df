// GELU, rung 3: whole registers, so that one instruction works on 4, 8 or 16 elements.
//
//   forward   y  = x Phi(x)                                       reads 1, writes 1 tensor
//   backward  dx = grad (Phi(x) + x phi(x)), phi = Phi'           reads 2, writes 1
//
// In the cache it is as fast as its multiply-adds: with AVX-512 they and the products, 18 instructions on two units, are 9 of
// the 11 cycles that Zen 5 takes for 16 elements. An estimate of the reciprocal and a step of Newton's, 3 more, in place of the
// division took 7 % longer.
#include "cpu/ladder.h"
#include "gate.h"
#include "ops/gelu.h"

namespace scratchnet {
namespace {

template <class T, bool tanh>
void forward(const T* x, T* y, int64_t n) {
  map<T>(0, n, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
    const auto v = get(x + i);
    put(y + i, v * gate<tanh, acc_t<T>>(v).cdf);
  });
}

template <class T, bool tanh>
void backward(const T* grad, const T* x, T* dx, int64_t n) {
  map<T>(0, n, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
    const auto v = get(x + i);
    const auto [cdf, slope] = gate<tanh, acc_t<T>>(v);
    put(dx + i, get(grad + i) * (cdf + v * slope));
  });
}

}  // namespace

SN_DEFINE_RUNG(GeluKernels, gelu_3) = {
    SN_GELU(forward),
    SN_GELU(backward),
    SN_FROM(gelu_kernels(2), bias_gelu_forward),
    SN_FROM(gelu_kernels(2), bias_gelu_backward),
};

}  // namespace scratchnet
