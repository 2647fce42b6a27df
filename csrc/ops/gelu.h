// GELU: y = x Phi(x), Phi the distribution function of the normal distribution; `tanh` selects the approximation
// Phi(x) ~ sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), which equals 0.5 (1 + tanh(...)).
#pragma once
#include "ops/table.h"

namespace scratchnet {

// All tensors are contiguous. bias: (columns,)
struct GeluKernels {
  void (*gelu_forward)(const On&, bool tanh, const void* x, void* y, int64_t n);
  void (*gelu_backward)(const On&, bool tanh, const void* grad, const void* x, void* dx, int64_t n);
  void (*bias_gelu_forward)(const On&, bool tanh, const void* x, const void* bias, void* y, int64_t rows, int64_t columns);
  // dx or dbias may be null
  void (*bias_gelu_backward)(const On&, bool tanh, const void* grad, const void* x, const void* bias, void* dx, void* dbias,
                             int64_t rows, int64_t columns);
};

const GeluKernels& gelu_kernels(int64_t rung);

}  // namespace scratchnet
