// An activation and its slope, one element at a time: for the CPU column and the CUDA column.
#pragma once
#include "ops/activation.h"
#include "ops/gate_scalar.h"

namespace scratchnet {
namespace {

template <class A>
SN_ANYWHERE ScalarGate<A> gate_of(A z, Activation activation) {
  switch (activation) {
    case Activation::silu: return logistic_gate_scalar(z, A(1));
    case Activation::quick_gelu: return logistic_gate_scalar(z, A(1.702));
    default: return gate_scalar(z, activation == Activation::gelu_tanh);
  }
}

template <class A>
SN_ANYWHERE A activate(A z, Activation activation) {
  const A rectified = z < 0 ? 0 : z;  // NaN stays NaN
  switch (activation) {
    case Activation::none: return z;
    case Activation::relu: return rectified;
    case Activation::squared_relu: return rectified * rectified;
    case Activation::sigmoid: return sigmoid_scalar(z).value;
    case Activation::tanh: return tanh(z);
    default: return z * gate_of(z, activation).cdf;
  }
}

// act'(z), for relu from y
template <class A>
SN_ANYWHERE A slope(A saved, Activation activation) {
  switch (activation) {
    case Activation::none: return 1;
    case Activation::relu: return saved <= 0 ? 0 : 1;
    case Activation::squared_relu: return saved <= 0 ? 0 : 2 * saved;
    case Activation::sigmoid: {
      const auto [value, rest] = sigmoid_scalar(saved);
      return value * rest;
    }
    case Activation::tanh: {
      const A t = tanh(saved);
      return 1 - t * t;
    }
    default: {
      const auto [cdf, slope] = gate_of(saved, activation);
      return cdf + saved * slope;
    }
  }
}

// grad act'(z); where ReLU lets nothing through it is 0, whatever the gradient.
template <class A>
SN_ANYWHERE A times_slope(A grad, A z, Activation activation) {
  const A s = slope(z, activation);
  const bool rectifies = activation == Activation::relu || activation == Activation::squared_relu;
  return rectifies && s == 0 ? 0 : grad * s;
}

}  // namespace
}  // namespace scratchnet
