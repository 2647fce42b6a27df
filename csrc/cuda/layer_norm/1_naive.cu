// LayerNorm and RMSNorm, rung 1: one thread per row, one pass over it for each sum of the formula.
// Sums are double: added one by one in float, many numbers lose digits.
//
//   forward   mean, then variance, then y
//   backward  mean(a) and mean(a h), then dx; dweight and dbias by one thread per column
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/layer_norm.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void layer_norm_forward_kernel(NormForward p) {
  using A = acc_t<T>;
  const int64_t row = thread_index(), D = p.columns;
  if (row >= p.rows) return;
  const T *x = (const T*)p.x + row * D, *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  T* y = (T*)p.y + row * D;
  if (p.residual) {
    const T* residual = (const T*)p.residual + row * D;
    T* total = (T*)p.total + row * D;
    for (int64_t j = 0; j < D; j++) store1(total + j, load1(x + j) + load1(residual + j));
    x = total;
  }
  double mean = 0, squares = 0;
  if (p.mean) {
    for (int64_t j = 0; j < D; j++) mean += load1(x + j);
    mean /= D;
  }
  for (int64_t j = 0; j < D; j++) squares += (load1(x + j) - mean) * (load1(x + j) - mean);
  const double rstd = 1 / sqrt(squares / D + p.eps);
  for (int64_t j = 0; j < D; j++) {
    const double h = (load1(x + j) - mean) * rstd;
    store1(y + j, A((weight ? h * load1(weight + j) : h) + (bias ? load1(bias + j) : 0)));
  }
  if (p.mean) ((A*)p.mean)[row] = A(mean);
  ((A*)p.rstd)[row] = A(rstd);
}

template <class T>
void forward(const Launch& on, const NormForward& p) {
  launch(on, "layer_norm_forward", layer_norm_forward_kernel<T>, elementwise(p.rows, THREADS), p);
}

template <class T>
__global__ void layer_norm_backward_kernel(NormBackward p) {
  using A = acc_t<T>;
  const int64_t row = thread_index(), D = p.columns;
  if (row >= p.rows) return;
  const T *x = (const T*)p.x + row * D, *grad = (const T*)p.grad + row * D, *weight = (const T*)p.weight;
  const T* grad_total = p.grad_total ? (const T*)p.grad_total + row * D : nullptr;
  const double mean = p.mean ? ((const A*)p.mean)[row] : 0, rstd = ((const A*)p.rstd)[row];
  double mean_a = 0, mean_ah = 0;
  for (int64_t j = 0; j < D; j++) {
    const double a = weight ? double(load1(grad + j)) * load1(weight + j) : load1(grad + j);
    mean_a += p.mean ? a / D : 0;
    mean_ah += a * (load1(x + j) - mean) * rstd / D;
  }
  for (int64_t j = 0; j < D; j++) {
    const double a = weight ? double(load1(grad + j)) * load1(weight + j) : load1(grad + j);
    const double dx = rstd * (a - mean_a - (load1(x + j) - mean) * rstd * mean_ah);
    store1((T*)p.dx + row * D + j, A(dx + (grad_total ? load1(grad_total + j) : 0)));
  }
}

template <class T>
__global__ void layer_norm_backward_columns_kernel(NormBackward p) {
  using A = acc_t<T>;
  const int64_t j = thread_index(), D = p.columns;
  if (j >= D) return;
  double dweight = 0, dbias = 0;
  for (int64_t row = 0; row < p.rows; row++) {
    const double mean = p.mean ? ((const A*)p.mean)[row] : 0, rstd = ((const A*)p.rstd)[row];
    const double g = load1((const T*)p.grad + row * D + j);
    dweight += g * (load1((const T*)p.x + row * D + j) - mean) * rstd;
    dbias += g;
  }
  if (p.dweight) store1((T*)p.dweight + j, A(dweight));
  if (p.dbias) store1((T*)p.dbias + j, A(dbias));
}

template <class T>
void backward(const Launch& on, const NormBackward& p) {
  const char* name = "layer_norm_backward";
  if (p.dx) launch(on, name, layer_norm_backward_kernel<T>, elementwise(p.rows, THREADS), p);
  if (p.dweight || p.dbias) launch(on, name, layer_norm_backward_columns_kernel<T>, elementwise(p.columns, THREADS), p);
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
