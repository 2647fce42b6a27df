// Gated units, rung 1: the formula, one element after another, exp, erf and tanh from the C library.
//
//   forward   y = act(x)                                          reads 1, writes 1 tensor
//   backward  dx = grad act'(x)                                   reads 2, writes 1
//   gated     y = act(gate) value                                 reads 2, writes 1
//             dvalue = grad act(gate), dgate = grad value act'(gate)   reads 3, writes 2
#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/activation_scalar.h"
#include "ops/gated.h"

namespace scratchnet {
namespace {

template <class T>
void forward(Activation activation, const T* x, T* y, int64_t n) {
  for (int64_t i = 0; i < n; i++) store1(y + i, activate(load1(x + i), activation));
}

template <class T>
void backward(Activation activation, const T* grad, const T* x, T* dx, int64_t n) {
  for (int64_t i = 0; i < n; i++) store1(dx + i, times_slope(load1(grad + i), load1(x + i), activation));
}

template <class T>
void gated_forward(Activation activation, const T* gate, const T* value, T* y, int64_t rows, int64_t columns, int64_t step) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const int64_t from = i * step + j;
      store1(y + i * columns + j, activate(load1(gate + from), activation) * load1(value + from));
    }
}

template <class T>
void gated_backward(Activation activation, const T* grad, const T* gate, const T* value, T* dgate, T* dvalue, int64_t rows,
                    int64_t columns, int64_t step) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const int64_t from = i * step + j;
      const acc_t<T> g = load1(grad + i * columns + j), z = load1(gate + from);
      if (dgate) store1(dgate + from, times_slope(g * load1(value + from), z, activation));
      if (dvalue) store1(dvalue + from, g * activate(z, activation));
    }
}

}  // namespace

SN_DEFINE_RUNG(GatedKernels, gated_1) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(gated_forward),
    SN_TYPED(gated_backward),
};

}  // namespace scratchnet
