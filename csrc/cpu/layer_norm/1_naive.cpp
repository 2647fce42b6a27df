// LayerNorm and RMSNorm, rung 1: one row after another, one pass over it for each sum of the formula.
// Sums are long double: added one by one in a narrower type, many numbers lose digits.
//
//   forward   mean, then variance, then y
//   backward  mean(a) and mean(a h), then dx; dweight and dbias in a loop of their own
#include <math.h>

#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/layer_norm.h"

namespace scratchnet {
namespace {

// The saved mean is rounded to float, which costs digits where the mean is large: backward takes it from x again.
template <class T>
double mean_of(const T* x, int64_t columns) {
  long double sum = 0;
  for (int64_t j = 0; j < columns; j++) sum += load1(x + j);
  return sum / columns;
}

template <class T>
void forward(const NormForward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  for (int64_t i = 0; i < p.rows; i++) {
    const T* x = (const T*)p.x + i * D;
    T* y = (T*)p.y + i * D;
    if (p.residual) {
      const T* residual = (const T*)p.residual + i * D;
      T* total = (T*)p.total + i * D;
      for (int64_t j = 0; j < D; j++) store1(total + j, load1(x + j) + load1(residual + j));
      x = total;
    }
    const double mean = p.mean ? mean_of(x, D) : 0;
    long double squares = 0;
    for (int64_t j = 0; j < D; j++) squares += (load1(x + j) - mean) * (load1(x + j) - mean);
    const double rstd = 1 / sqrt(squares / D + p.eps);
    for (int64_t j = 0; j < D; j++) {
      const double h = (load1(x + j) - mean) * rstd;
      store1(y + j, A((weight ? h * load1(weight + j) : h) + (bias ? load1(bias + j) : 0)));
    }
    if (p.mean) ((A*)p.mean)[i] = A(mean);
    ((A*)p.rstd)[i] = A(rstd);
  }
}

template <class T>
void backward_dx(const NormBackward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T* weight = (const T*)p.weight;
  for (int64_t i = 0; i < p.rows; i++) {
    const T *x = (const T*)p.x + i * D, *grad = (const T*)p.grad + i * D;
    const double mean = p.mean ? mean_of(x, D) : 0, rstd = ((const A*)p.rstd)[i];
    long double sum_a = 0, sum_ah = 0;
    for (int64_t j = 0; j < D; j++) {
      const double a = weight ? double(load1(grad + j)) * load1(weight + j) : load1(grad + j);
      sum_a += a;
      sum_ah += a * (load1(x + j) - mean) * rstd;
    }
    const double mean_a = p.mean ? sum_a / D : 0, mean_ah = sum_ah / D;
    for (int64_t j = 0; j < D; j++) {
      const double a = weight ? double(load1(grad + j)) * load1(weight + j) : load1(grad + j);
      const double dx = rstd * (a - mean_a - (load1(x + j) - mean) * rstd * mean_ah);
      store1((T*)p.dx + i * D + j, A(dx + (p.grad_total ? load1((const T*)p.grad_total + i * D + j) : 0)));
    }
  }
}

template <class T>
void backward_columns(const NormBackward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  long double* dweight = new long double[D]();
  long double* dbias = new long double[D]();
  for (int64_t i = 0; i < p.rows; i++) {
    const T *x = (const T*)p.x + i * D, *grad = (const T*)p.grad + i * D;
    const double mean = p.mean ? mean_of(x, D) : 0, rstd = ((const A*)p.rstd)[i];
    for (int64_t j = 0; j < D; j++) {
      dweight[j] += load1(grad + j) * (load1(x + j) - mean) * rstd;
      dbias[j] += load1(grad + j);
    }
  }
  for (int64_t j = 0; j < D; j++) {
    if (p.dweight) store1((T*)p.dweight + j, A(dweight[j]));
    if (p.dbias) store1((T*)p.dbias + j, A(dbias[j]));
  }
  delete[] dweight;
  delete[] dbias;
}

template <class T>
void backward(const NormBackward& p) {
  if (p.dx) backward_dx<T>(p);
  if (p.dweight || p.dbias) backward_columns<T>(p);
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
