// An activation and its slope, a register at a time; activation_scalar.h has them one element at a time.
#pragma once
#include "cpu/gelu/gate.h"
#include "ops/gated.h"

namespace scratchnet {
namespace {

template <class A>
struct Activated {
  vec<A> y, slope;  // act(x), act'(x)
};

template <Activation ACT, class A>
SN_INLINE Gate<A> gate_of(vec<A> x) {
  if constexpr (ACT == Activation::gelu || ACT == Activation::gelu_tanh) {
    return gate<ACT == Activation::gelu_tanh, A>(x);
  } else {
    constexpr A scale = ACT == Activation::quick_gelu ? A(1.702) : A(1);
    const auto [cdf, rest] = sigmoid<A>(scale * x);
    return {cdf, scale * cdf * rest};
  }
}

template <Activation ACT, class A>
SN_INLINE Activated<A> activated(vec<A> x) {
  if constexpr (ACT == Activation::relu) {
    return {x < 0 ? vec<A>{} : x, x <= 0 ? vec<A>{} : splat(A(1))};  // NaN stays NaN
  } else if constexpr (ACT == Activation::squared_relu) {
    const vec<A> rectified = x < 0 ? vec<A>{} : x;
    return {rectified * rectified, 2 * rectified};
  } else if constexpr (ACT == Activation::sigmoid) {
    const auto [value, rest] = sigmoid<A>(x);
    return {value, value * rest};
  } else if constexpr (ACT == Activation::tanh) {
    const vec<A> t = vtanh(x);
    return {t, 1 - t * t};
  } else {
    const auto [cdf, slope] = gate_of<ACT, A>(x);
    return {x * cdf, cdf + x * slope};
  }
}

// grad act'(x); where ReLU lets nothing through it is 0, whatever the gradient.
template <Activation ACT, class V>
SN_INLINE V times_slope(V grad, V slope) {
  if constexpr (ACT == Activation::relu || ACT == Activation::squared_relu) return slope == 0 ? V{} : grad * slope;
  else return grad * slope;
}

}  // namespace
}  // namespace scratchnet

// SN_TYPED for the functions of this table, whose activation is a template parameter here. with: with_self or with_gate.
#define SN_GATED(with, function)                                                                                              \
  [](const On& on, Activation activation, auto... arguments) {                                                                \
    SN_FLOATS(on.dtype, return with(activation,                                                                               \
                                    [&](auto act) { function<T, decltype(act)::value>(::scratchnet::typed(arguments)...); })) \
    __builtin_unreachable();                                                                                                  \
  }
