// Gates, y = x cdf(x), and their slopes, one element at a time: for the CPU column and the CUDA column. That of GELU is the
// normal distribution, that of SiLU the logistic one.
#pragma once
#include <math.h>

#include "ops/types.h"

namespace scratchnet {
namespace {

template <class A>
struct ScalarGate {
  A cdf, slope;  // Phi(x) and its derivative
};

// 1 / (1 + exp(-x)) and what is left to 1: no 1 - value, which would cancel.
template <class A>
struct ScalarSigmoid {
  A value, rest;
};
template <class A>
SN_ANYWHERE ScalarSigmoid<A> sigmoid_scalar(A x) {
  const A e = exp(-fabs(x)), large = 1 / (1 + e), small = e * large;
  return {x < 0 ? small : large, x < 0 ? large : small};
}

template <class A>
SN_ANYWHERE ScalarGate<A> gate_scalar(A x, bool tanh) {
  if (!tanh) return {A(0.5) * erfc(-x * A(M_SQRT1_2)), exp(A(-0.5) * x * x) * A(M_2_SQRTPI * M_SQRT1_2 / 2)};
  const A scale = A(M_2_SQRTPI * M_SQRT2), cubic = A(0.044715);  // 2 sqrt(2 / pi)
  const auto [cdf, rest] = sigmoid_scalar(scale * (x + cubic * x * x * x));
  return {cdf, cdf * rest * scale * (1 + 3 * cubic * x * x)};
}

// cdf(x) = sigmoid(scale x): of SiLU for scale 1, of quick GELU for 1.702.
template <class A>
SN_ANYWHERE ScalarGate<A> logistic_gate_scalar(A x, A scale) {
  const auto [cdf, rest] = sigmoid_scalar(scale * x);
  return {cdf, scale * cdf * rest};
}

}  // namespace
}  // namespace scratchnet
