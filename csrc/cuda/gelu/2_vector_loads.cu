// GELU, rung 2: 128 bits per load and store; the bias stays in registers, and its gradient is summed on the way.
//
//   forward   y  = x Phi(x)                                       reads 1, writes 1 tensor:   8 bytes per element (float32)
//   backward  dx = grad (Phi(x) + x phi(x))                       reads 2, writes 1:         12 bytes
//
// Nothing but x is saved: recomputing Phi hides behind the memory traffic.
#include "cuda/column_sums.cuh"
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/tile.cuh"
#include "ops/gate_scalar.h"
#include "ops/gelu.h"

namespace scratchnet {
namespace {

template <class T, bool tanh>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT) gelu_forward_kernel(const T* x, T* y, int64_t n, bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  Pack<T> v = load(x + i, n - i, aligned);
  for (auto& e : v.lane) e *= gate_scalar(e, tanh).cdf;
  store(y + i, v, n - i, aligned);
}

template <class T>
void forward(const Launch& on, bool tanh, const T* x, T* y, int64_t n) {
  const auto kernel = tanh ? gelu_forward_kernel<T, true> : gelu_forward_kernel<T, false>;
  launch(on, "gelu_forward", kernel, elementwise(ceil_div(n, LANES<T>), TILE_THREADS), x, y, n, aligned(0, x, y));
}

template <class T, bool tanh>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    gelu_backward_kernel(const T* grad, const T* x, T* dx, int64_t n, bool aligned) {
  const int64_t i = thread_index() * LANES<T>;
  if (i >= n) return;
  const Pack<T> v = load(x + i, n - i, aligned);
  Pack<T> d = load(grad + i, n - i, aligned);
#pragma unroll
  for (int k = 0; k < LANES<T>; k++) {
    const auto [cdf, slope] = gate_scalar(v.lane[k], tanh);
    d.lane[k] *= cdf + v.lane[k] * slope;
  }
  store(dx + i, d, n - i, aligned);
}

template <class T>
void backward(const Launch& on, bool tanh, const T* grad, const T* x, T* dx, int64_t n) {
  const auto kernel = tanh ? gelu_backward_kernel<T, true> : gelu_backward_kernel<T, false>;
  const Grid grid = elementwise(ceil_div(n, LANES<T>), TILE_THREADS);
  launch(on, "gelu_backward", kernel, grid, grad, x, dx, n, aligned(0, grad, x, dx));
}

// ---- bias_gelu: x (rows, columns) + bias (columns,) -----------------------------------------------------------------------

template <class T, bool tanh>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    bias_gelu_forward_kernel(const T* x, const T* bias, T* y, int64_t rows, int64_t columns, bool aligned) {
  const Place<T> at;
  const int64_t left = columns - at.column;
  if (left <= 0) return;
  const Pack<T> b = load(bias + at.column, left, aligned);
  for (int64_t row = at.row; row < rows; row += at.step) {
    const int64_t i = row * columns + at.column;
    Pack<T> v = load(x + i, left, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) {
      const auto z = v.lane[k] + b.lane[k];
      v.lane[k] = z * gate_scalar(z, tanh).cdf;
    }
    store(y + i, v, left, aligned);
  }
}

template <class T>
void bias_forward(const Launch& on, bool tanh, const T* x, const T* bias, T* y, int64_t rows, int64_t columns) {
  const auto kernel = tanh ? bias_gelu_forward_kernel<T, true> : bias_gelu_forward_kernel<T, false>;
  launch(on, "bias_gelu_forward", kernel, tiles<T>(rows, columns), x, bias, y, rows, columns, aligned(columns, x, bias, y));
}

template <class T, bool tanh>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    bias_gelu_backward_kernel(const T* grad, const T* x, const T* bias, T* dx, acc_t<T>* partial, int64_t rows, int64_t columns,
                              bool aligned) {
  const Place<T> at;
  const int64_t left = columns - at.column;  // 0 or less beyond the last column: no rows, but the barriers of the sums
  const Pack<T> b = load(bias + at.column, left, aligned);
  Pack<T> sum = {};
  for (int64_t row = at.row; row < rows && left > 0; row += at.step) {
    const int64_t i = row * columns + at.column;
    const Pack<T> v = load(x + i, left, aligned);
    Pack<T> d = load(grad + i, left, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) {
      const auto z = v.lane[k] + b.lane[k];
      const auto [cdf, slope] = gate_scalar(z, tanh);
      d.lane[k] *= cdf + z * slope;
      sum.lane[k] += d.lane[k];
    }
    if (dx) store(dx + i, d, left, aligned);
  }
  if (partial) store_partial_sums(partial, sum, at.column, columns);
}

template <class T>
void bias_backward(const Launch& on, bool tanh, const T* grad, const T* x, const T* bias, T* dx, T* dbias, int64_t rows,
                   int64_t columns) {
  const auto kernel = tanh ? bias_gelu_backward_kernel<T, true> : bias_gelu_backward_kernel<T, false>;
  const Grid grid = tiles<T>(rows, columns);
  acc_t<T>* partial = dbias ? on.allocate<acc_t<T>>(grid.blocks.y * columns) : nullptr;
  const bool wide = aligned(columns, grad, x, bias, dx);
  launch(on, "bias_gelu_backward", kernel, grid, grad, x, bias, dx, partial, rows, columns, wide);
  if (dbias) column_sums(on, "bias_gelu_backward", partial, dbias, grid.blocks.y, columns);
}

}  // namespace

SN_DEFINE_RUNG(GeluKernels, gelu_2) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(bias_forward),
    SN_TYPED(bias_backward),
};

}  // namespace scratchnet
