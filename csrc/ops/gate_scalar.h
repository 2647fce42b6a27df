// The gate of GELU, y = x cdf(x), and its slope, one element at a time: for the CPU column and the CUDA column.
#pragma once
#include <math.h>

#include "ops/types.h"

namespace scratchnet {
namespace {

template <class A>
struct ScalarGate {
  A cdf, slope;  // Phi(x) and its derivative
};

template <class A>
SN_ANYWHERE ScalarGate<A> gate_scalar(A x, bool tanh) {
  if (!tanh) return {A(0.5) * erfc(-x * A(M_SQRT1_2)), exp(A(-0.5) * x * x) * A(M_2_SQRTPI * M_SQRT1_2 / 2)};
  const A scale = A(M_2_SQRTPI * M_SQRT2), cubic = A(0.044715);  // 2 sqrt(2 / pi)
  const A u = scale * (x + cubic * x * x * x), e = exp(-fabs(u)), large = 1 / (1 + e), small = e * large;
  return {u < 0 ? small : large, large * small * scale * (1 + 3 * cubic * x * x)};  // no 1 - cdf: it would cancel
}

}  // namespace
}  // namespace scratchnet
