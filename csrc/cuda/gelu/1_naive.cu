// GELU, rung 1: the formula, one thread per element.
//
//   forward   y  = x Phi(x)                                       reads 1, writes 1 tensor
//   backward  dx = grad (Phi(x) + x phi(x)), phi = Phi'           reads 2, writes 1
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/gate_scalar.h"
#include "ops/gelu.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void gelu_forward_kernel(const T* x, T* y, int64_t n, bool tanh) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const acc_t<T> v = load1(x + i);
  store1(y + i, v * gate_scalar(v, tanh).cdf);
}

template <class T>
void forward(const Launch& on, bool tanh, const T* x, T* y, int64_t n) {
  launch(on, "gelu_forward", gelu_forward_kernel<T>, elementwise(n, THREADS), x, y, n, tanh);
}

template <class T>
__global__ void gelu_backward_kernel(const T* grad, const T* x, T* dx, int64_t n, bool tanh) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const acc_t<T> v = load1(x + i);
  const auto [cdf, slope] = gate_scalar(v, tanh);
  store1(dx + i, load1(grad + i) * (cdf + v * slope));
}

template <class T>
void backward(const Launch& on, bool tanh, const T* grad, const T* x, T* dx, int64_t n) {
  launch(on, "gelu_backward", gelu_backward_kernel<T>, elementwise(n, THREADS), grad, x, dx, n, tanh);
}

// ---- bias_gelu: x (rows, columns) + bias (columns,) -----------------------------------------------------------------------

template <class T>
__global__ void bias_gelu_forward_kernel(const T* x, const T* bias, T* y, int64_t rows, int64_t columns, bool tanh) {
  const int64_t i = thread_index();
  if (i >= rows * columns) return;
  const acc_t<T> v = load1(x + i) + load1(bias + i % columns);
  store1(y + i, v * gate_scalar(v, tanh).cdf);
}

template <class T>
void bias_forward(const Launch& on, bool tanh, const T* x, const T* bias, T* y, int64_t rows, int64_t columns) {
  const Grid grid = elementwise(rows * columns, THREADS);
  launch(on, "bias_gelu_forward", bias_gelu_forward_kernel<T>, grid, x, bias, y, rows, columns, tanh);
}

// A thread walks down a column.
template <class T>
__global__ void bias_gelu_backward_kernel(const T* grad, const T* x, const T* bias, T* dx, T* dbias, int64_t rows,
                                          int64_t columns, bool tanh) {
  const int64_t j = thread_index();
  if (j >= columns) return;
  double sum = 0;
  for (int64_t i = 0; i < rows; i++) {
    const int64_t at = i * columns + j;
    const acc_t<T> v = load1(x + at) + load1(bias + j);
    const auto [cdf, slope] = gate_scalar(v, tanh);
    const acc_t<T> d = load1(grad + at) * (cdf + v * slope);
    if (dx) store1(dx + at, d);
    sum += d;
  }
  if (dbias) store1(dbias + j, acc_t<T>(sum));
}

template <class T>
void bias_backward(const Launch& on, bool tanh, const T* grad, const T* x, const T* bias, T* dx, T* dbias, int64_t rows,
                   int64_t columns) {
  const Grid grid = elementwise(columns, THREADS);
  launch(on, "bias_gelu_backward", bias_gelu_backward_kernel<T>, grid, grad, x, bias, dx, dbias, rows, columns, tanh);
}

}  // namespace

SN_DEFINE_RUNG(GeluKernels, gelu_1) = {
    SN_TYPED(forward),
    SN_TYPED(backward),
    SN_TYPED(bias_forward),
    SN_TYPED(bias_backward),
};

}  // namespace scratchnet
