// The gate of GELU, y = x cdf(x), and its slope: a register at a time; gate1.h has it one element at a time.
#pragma once
#include "gate1.h"
#include "simd.h"

namespace scratchnet {
namespace {

template <class A>
struct Gate {
  vec<A> cdf, slope;
};

template <bool tanh, class A>
SN_INLINE Gate<A> gate(vec<A> x) {
  if constexpr (!tanh) {
    const auto [cdf, pdf] = normal<A>(x);
    return {cdf, pdf};
  } else {
    constexpr A scale = A(1.5957691216057308), cubic = A(0.044715);  // 2 sqrt(2 / pi)
    const auto [cdf, rest] = sigmoid<A>(scale * x * (1 + cubic * x * x));
    return {cdf, cdf * rest * scale * (1 + 3 * cubic * x * x)};
  }
}

}  // namespace
}  // namespace scratchnet

// Picks the element type and the variant of Phi at compile time: two branches a call, none an element.
#define SN_GELU(dtype, tanh, function, ...) \
  SN_FLOATS(dtype, if (tanh) function<T, true>(__VA_ARGS__); else function<T, false>(__VA_ARGS__))
