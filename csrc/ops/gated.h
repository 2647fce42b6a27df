// Gated units. With itself for a gate: silu, quick_gelu, squared_relu, y = act(x). With another one: y = act(gate) value.
#pragma once
#include "ops/activation.h"
#include "ops/table.h"

namespace scratchnet {

// gate and value have rows of `columns` elements, each `step` after the one before: 2 columns for the halves of one tensor,
// columns for a tensor of their own. Their gradients lie as they do; grad and y are contiguous.
struct GatedKernels {
  void (*forward)(const On&, Activation, const void* x, void* y, int64_t n);
  void (*backward)(const On&, Activation, const void* grad, const void* x, void* dx, int64_t n);
  void (*gated_forward)(const On&, Activation, const void* gate, const void* value, void* y, int64_t rows, int64_t columns,
                        int64_t step);
  // dgate or dvalue may be null
  void (*gated_backward)(const On&, Activation, const void* grad, const void* gate, const void* value, void* dgate,
                         void* dvalue, int64_t rows, int64_t columns, int64_t step);
};

const GatedKernels& gated_kernels(int64_t rung);

namespace {  // anonymous: each instruction set keeps its own copy

// What each kind of kernel is compiled for.
template <class F>
void with_self(Activation activation, const F& f) {
  with_constant<Activation::silu, Activation::quick_gelu, Activation::squared_relu>(activation, f);
}
template <class F>
void with_gate(Activation activation, const F& f) {
  with_constant<Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::silu, Activation::sigmoid,
                Activation::tanh>(activation, f);
}

}  // namespace
}  // namespace scratchnet
