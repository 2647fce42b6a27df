// Which of two rungs computes a call: one takes tensors of one layout, the others are left to the rung below.
#pragma once
#include "ops/cross_entropy.h"

namespace scratchnet {
namespace {

// inner, from the arguments of a table's function: the last one; cross-entropy has it among its targets.
template <class... Rest>
int64_t inner_of(const Targets& to, const Rest&...) {
  return to.positions;
}
template <class First, class... Rest>
int64_t inner_of(const First& first, const Rest&... rest) {
  if constexpr (sizeof...(rest) > 0) return inner_of(rest...);
  else return first;
}

}  // namespace
}  // namespace scratchnet

// SN_TYPED for tensors of one layout, inner == 1 or inner != 1; the others are left to a table below.
#define SN_LAYOUT(condition, function, below)                                                       \
  [](const On& on, auto... arguments) {                                                             \
    if (!(::scratchnet::inner_of(arguments...) condition)) return below.function(on, arguments...); \
    SN_FLOATS(on.dtype, return function<T>(::scratchnet::typed(arguments)...))                      \
    __builtin_unreachable();                                                                        \
  }
