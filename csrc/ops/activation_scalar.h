// The activation of a product and its slope, one element at a time: for the CPU column and the CUDA column.
#pragma once
#include "ops/gate_scalar.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

template <class A>
SN_ANYWHERE A activate(A z, Activation activation) {
  switch (activation) {
    case Activation::none: return z;
    case Activation::relu: return z < 0 ? 0 : z;  // NaN stays NaN
    default: return z * gate_scalar(z, activation == Activation::gelu_tanh).cdf;
  }
}

// act'(z), for relu from y
template <class A>
SN_ANYWHERE A slope(A saved, Activation activation) {
  switch (activation) {
    case Activation::none: return 1;
    case Activation::relu: return saved <= 0 ? 0 : 1;
    default: {
      const auto [cdf, slope] = gate_scalar(saved, activation == Activation::gelu_tanh);
      return cdf + saved * slope;
    }
  }
}

}  // namespace
}  // namespace scratchnet
