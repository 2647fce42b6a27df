// Gated units, rung 2: 128 bits per load and store, and the activation is chosen when the kernel is launched.
//
//   forward   y = act(x)                            reads 1, writes 1 tensor:    8 bytes per element (float32)
//   backward  dx = grad act'(x)                     reads 2, writes 1:          12 bytes
//   gated     y = act(gate) value                   reads 2, writes 1:          12 bytes
//             dvalue = grad act(gate), dgate = grad value act'(gate)
//                                                   reads 3, writes 2:          20 bytes
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/tile.cuh"
#include "ops/activation_scalar.h"
#include "ops/gated.h"

namespace scratchnet {
namespace {

template <class T, Activation ACT>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    self_gated_forward_kernel(const T* x, T* y, int64_t n, bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  Pack<T> v = load(x + i, n - i, aligned);
  for (auto& e : v.lane) e = activate(e, ACT);
  store(y + i, v, n - i, aligned);
}

template <class T>
void forward(const Launch& on, Activation activation, const T* x, T* y, int64_t n) {
  const Grid grid = elementwise(ceil_div(n, LANES<T>), TILE_THREADS);
  with_self(activation, [&](auto act) {
    const auto kernel = self_gated_forward_kernel<T, decltype(act)::value>;
    launch(on, "self_gated_forward", kernel, grid, x, y, n, aligned(0, x, y));
  });
}

template <class T, Activation ACT>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    self_gated_backward_kernel(const T* grad, const T* x, T* dx, int64_t n, bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  const Pack<T> v = load(x + i, n - i, aligned);
  Pack<T> d = load(grad + i, n - i, aligned);
#pragma unroll
  for (int k = 0; k < LANES<T>; k++) d.lane[k] = times_slope(d.lane[k], v.lane[k], ACT);
  store(dx + i, d, n - i, aligned);
}

template <class T>
void backward(const Launch& on, Activation activation, const T* grad, const T* x, T* dx, int64_t n) {
  const Grid grid = elementwise(ceil_div(n, LANES<T>), TILE_THREADS);
  with_self(activation, [&](auto act) {
    const auto kernel = self_gated_backward_kernel<T, decltype(act)::value>;
    launch(on, "self_gated_backward", kernel, grid, grad, x, dx, n, aligned(0, grad, x, dx));
  });
}

// ---- gate and value (rows, columns), a row every `step` elements -> y (rows, columns) -------------------------------------

template <class T, Activation ACT>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    gated_forward_kernel(const T* gate, const T* value, T* y, int64_t rows, int64_t columns, int64_t step, bool aligned) {
  const Place<T> at;
  const int64_t left = columns - at.column;
  if (left <= 0) return;
  for (int64_t row = at.row; row < rows; row += at.step) {
    const int64_t from = row * step + at.column;
    const Pack<T> v = load(value + from, left, aligned);
    Pack<T> z = load(gate + from, left, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) z.lane[k] = activate(z.lane[k], ACT) * v.lane[k];
    store(y + row * columns + at.column, z, left, aligned);
  }
}

template <class T>
void gated_forward(const Launch& on, Activation activation, const T* gate, const T* value, T* y, int64_t rows, int64_t columns,
                   int64_t step) {
  const bool wide = aligned(rows > 1 ? columns : 0, gate, value, y);
  with_gate(activation, [&](auto act) {
    const auto kernel = gated_forward_kernel<T, decltype(act)::value>;
    launch(on, "gated_forward", kernel, tiles<T>(rows, columns), gate, value, y, rows, columns, step, wide);
  });
}

template <class T, Activation ACT>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    gated_backward_kernel(const T* grad, const T* gate, const T* value, T* dgate, T* dvalue, int64_t rows, int64_t columns,
                          int64_t step, bool aligned) {
  const Place<T> at;
  const int64_t left = columns - at.column;
  if (left <= 0) return;
  for (int64_t row = at.row; row < rows; row += at.step) {
    const int64_t from = row * step + at.column;
    const Pack<T> g = load(grad + row * columns + at.column, left, aligned);
    Pack<T> z = load(gate + from, left, aligned), v = load(value + from, left, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) {
      const auto gate_k = z.lane[k];
      z.lane[k] = times_slope(g.lane[k] * v.lane[k], gate_k, ACT);
      v.lane[k] = g.lane[k] * activate(gate_k, ACT);
    }
    if (dgate) store(dgate + from, z, left, aligned);
    if (dvalue) store(dvalue + from, v, left, aligned);
  }
}

template <class T>
void gated_backward(const Launch& on, Activation activation, const T* grad, const T* gate, const T* value, T* dgate, T* dvalue,
                    int64_t rows, int64_t columns, int64_t step) {
  const bool wide = aligned(rows > 1 ? columns : 0, grad, gate, value, dgate, dvalue);
  with_gate(activation, [&](auto act) {
    const auto kernel = gated_backward_kernel<T, decltype(act)::value>;
    launch(on, "gated_backward", kernel, tiles<T>(rows, columns), grad, gate, value, dgate, dvalue, rows, columns, step, wide);
  });
}

}  // namespace

SN_DEFINE_RUNG(GatedKernels, gated_2) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(gated_forward),
    SN_TYPED(gated_backward),
};

}  // namespace scratchnet
