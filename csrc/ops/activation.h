// The activations, by the numbers that Python passes.
#pragma once
#include "ops/types.h"

namespace scratchnet {

// scratchnet/ops/op.py: ACTIVATIONS
enum class Activation : int { none, relu, gelu, gelu_tanh, silu, sigmoid, tanh, quick_gelu, squared_relu };

namespace {  // anonymous: each instruction set keeps its own copy

template <Activation ACTIVATION>
struct Constant {
  static constexpr Activation value = ACTIVATION;
};

// f(Constant<activation>{}), for one of CHOICES: a branch per call, none per element.
template <Activation... CHOICES, class F>
void with_constant(Activation activation, const F& f) {
  ((activation == CHOICES ? f(Constant<CHOICES>{}) : void()), ...);
}

}  // namespace
}  // namespace scratchnet
