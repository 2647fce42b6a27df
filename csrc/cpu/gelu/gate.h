// The gate of GELU, y = x cdf(x), and its slope: a register at a time; gate_scalar.h has it one element at a time.
#pragma once
#include "cpu/simd.h"
#include "ops/gate_scalar.h"

namespace scratchnet {
namespace {

template <class A>
struct Gate {
  vec<A> cdf, slope;
};

template <bool tanh, class A>
SN_INLINE Gate<A> gate(vec<A> x) {
  if constexpr (!tanh) {
    const auto [cdf, pdf] = normal(x);
    return {cdf, pdf};
  } else {
    constexpr A scale = A(1.5957691216057308), cubic = A(0.044715);  // 2 sqrt(2 / pi)
    const auto [cdf, rest] = sigmoid<A>(scale * x * (1 + cubic * x * x));
    return {cdf, cdf * rest * scale * (1 + 3 * cubic * x * x)};
  }
}

}  // namespace
}  // namespace scratchnet

// SN_TYPED for the functions of this table, whose first argument is a template parameter here: two branches per call, none per
// element.
#define SN_GELU(function)                                                                                          \
  [](const On& on, bool tanh, auto... arguments) {                                                                 \
    SN_FLOATS(on.dtype, return (tanh ? function<T, true> : function<T, false>)(::scratchnet::typed(arguments)...)) \
    __builtin_unreachable();                                                                                       \
  }
