// GELU, rung 1: the formula, one element after another, erf and tanh from the C library.
//
//   forward   y  = x Phi(x)                                       reads 1, writes 1 tensor
//   backward  dx = grad (Phi(x) + x phi(x)), phi = Phi'           reads 2, writes 1
#include "cpu/ladder.h"
#include "gate.h"
#include "ops/gelu.h"

namespace scratchnet {
namespace {

template <class T>
void forward(bool tanh, const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const acc_t<T> v = load1(x + i);
    store1(y + i, v * gate_scalar(v, tanh).cdf);
  }
}

template <class T>
void backward(bool tanh, const T* grad, const T* x, T* dx, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const acc_t<T> v = load1(x + i);
    const auto [cdf, slope] = gate_scalar(v, tanh);
    store1(dx + i, load1(grad + i) * (cdf + v * slope));
  }
}

template <class T>
void bias_forward(bool tanh, const T* x, const T* bias, T* y, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows * columns; i++) {
    const acc_t<T> v = load1(x + i) + load1(bias + i % columns);
    store1(y + i, v * gate_scalar(v, tanh).cdf);
  }
}

template <class T>
void bias_backward(bool tanh, const T* grad, const T* x, const T* bias, T* dx, T* dbias, int64_t rows, int64_t columns) {
  for (int64_t j = 0; j < columns; j++) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = i * columns + j;
      const acc_t<T> v = load1(x + at) + load1(bias + j);
      const auto [cdf, slope] = gate_scalar(v, tanh);
      const acc_t<T> d = load1(grad + at) * (cdf + v * slope);
      if (dx) store1(dx + at, d);
      sum += d;
    }
    if (dbias) store1(dbias + j, acc_t<T>(sum));
  }
}

}  // namespace

SN_DEFINE_RUNG(GeluKernels, gelu_1) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(bias_forward),
    SN_TYPED(bias_backward),
};

}  // namespace scratchnet
