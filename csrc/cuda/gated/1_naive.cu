// Gated units, rung 1: the formula, one thread per element.
//
//   forward   y = act(x)                                                reads 1, writes 1 tensor
//   backward  dx = grad act'(x)                                         reads 2, writes 1
//   gated     y = act(gate) value                                       reads 2, writes 1
//             dvalue = grad act(gate), dgate = grad value act'(gate)    reads 3, writes 2
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/activation_scalar.h"
#include "ops/gated.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void self_gated_forward_kernel(const T* x, T* y, int64_t n, Activation activation) {
  const int64_t i = thread_index();
  if (i < n) store1(y + i, activate(load1(x + i), activation));
}

template <class T>
void forward(const Launch& on, Activation activation, const T* x, T* y, int64_t n) {
  launch(on, "self_gated_forward", self_gated_forward_kernel<T>, elementwise(n, THREADS), x, y, n, activation);
}

template <class T>
__global__ void self_gated_backward_kernel(const T* grad, const T* x, T* dx, int64_t n, Activation activation) {
  const int64_t i = thread_index();
  if (i < n) store1(dx + i, times_slope(load1(grad + i), load1(x + i), activation));
}

template <class T>
void backward(const Launch& on, Activation activation, const T* grad, const T* x, T* dx, int64_t n) {
  launch(on, "self_gated_backward", self_gated_backward_kernel<T>, elementwise(n, THREADS), grad, x, dx, n, activation);
}

// ---- gate and value (rows, columns), a row every `step` elements -> y (rows, columns) -------------------------------------

template <class T>
__global__ void gated_forward_kernel(const T* gate, const T* value, T* y, int64_t rows, int64_t columns, int64_t step,
                                     Activation activation) {
  const int64_t i = thread_index();
  if (i >= rows * columns) return;
  const int64_t from = i + i / columns * (step - columns);
  store1(y + i, activate(load1(gate + from), activation) * load1(value + from));
}

template <class T>
void gated_forward(const Launch& on, Activation activation, const T* gate, const T* value, T* y, int64_t rows, int64_t columns,
                   int64_t step) {
  const Grid grid = elementwise(rows * columns, THREADS);
  launch(on, "gated_forward", gated_forward_kernel<T>, grid, gate, value, y, rows, columns, step, activation);
}

template <class T>
__global__ void gated_backward_kernel(const T* grad, const T* gate, const T* value, T* dgate, T* dvalue, int64_t rows,
                                      int64_t columns, int64_t step, Activation activation) {
  const int64_t i = thread_index();
  if (i >= rows * columns) return;
  const int64_t from = i + i / columns * (step - columns);
  const acc_t<T> g = load1(grad + i), z = load1(gate + from);
  if (dgate) store1(dgate + from, times_slope(g * load1(value + from), z, activation));
  if (dvalue) store1(dvalue + from, g * activate(z, activation));
}

template <class T>
void gated_backward(const Launch& on, Activation activation, const T* grad, const T* gate, const T* value, T* dgate, T* dvalue,
                    int64_t rows, int64_t columns, int64_t step) {
  const Grid grid = elementwise(rows * columns, THREADS);
  const auto kernel = gated_backward_kernel<T>;
  launch(on, "gated_backward", kernel, grid, grad, gate, value, dgate, dvalue, rows, columns, step, activation);
}

}  // namespace

SN_DEFINE_RUNG(GatedKernels, gated_1) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(gated_forward),
    SN_TYPED(gated_backward),
};

}  // namespace scratchnet
