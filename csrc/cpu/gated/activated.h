// An activation and its slope, a register at a time; activation_scalar.h has them one element at a time.
#pragma once
#include "cpu/gelu/gate.h"
#include "ops/gated.h"

namespace scratchnet {
namespace {

// 1 / x for normal numbers: an estimate of 12 or 14 bits and a Newton step, to 2 ulp, in place of a division, which keeps the
// CPU for as long as half an exponential.
SN_INLINE vec<float> reciprocal(vec<float> x) {
#if defined(__AVX512F__)
  const vec<float> r = (vec<float>)_mm512_rcp14_ps((__m512)x);
#elif defined(__AVX2__)
  const vec<float> r = (vec<float>)_mm256_rcp_ps((__m256)x);
#endif
#if defined(__AVX2__)
  return r + r * (1 - x * r);
#else
  return 1 / x;
#endif
}

// sigmoid of simd.h for a factor that is used once: for float a cheaper exponential and no division, some ulp less accurate.
template <class A>
SN_INLINE Sigmoid<A> quick_sigmoid(vec<A> x) {
  return sigmoid<A>(x);
}
template <>
SN_INLINE Sigmoid<float> quick_sigmoid<float>(vec<float> x) {
  const vec<float> below = (vec<float>)((Simd<float>::I)x | INT32_MIN);  // -|x|
  const vec<float> e = quick_exp(at_least(below, splat(-88.0f)), 1.44269504f, 0);
  // The larger one from the smaller: 1 exactly where nothing is left, which a product with an estimate would miss.
  const vec<float> small = e * reciprocal(1 + e), large = 1 - small;
  return {x < 0 ? small : large, x < 0 ? large : small};
}

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
    const auto [cdf, rest] = quick_sigmoid<A>(scale * x);
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
    const auto [value, rest] = quick_sigmoid<A>(x);
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
