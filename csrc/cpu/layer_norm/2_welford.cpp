// LayerNorm and RMSNorm, rung 2: one pass over a row for all of its sums, one more to use them.
//
//   forward   Welford's method corrects mean and variance with every number that it meets: no pass for the mean alone
//   backward  mean(a) and mean(a h) in one pass with mean(x); dx, dweight and dbias in the other
//
// mean(x^2) - mean^2 takes one pass too, but loses its digits where the mean is large. Welford's method keeps them, all the
// more as it runs on x - x[0], whose mean is small.
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "cpu/scalar.h"
#include "ops/layer_norm.h"

namespace scratchnet {
namespace {

struct Moments {
  double mean, variance;
};

template <class T>
Moments welford(const T* x, int64_t columns) {
  const double first = columns ? load1(x) : 0;
  double mean = 0, squares = 0;
  for (int64_t j = 0; j < columns; j++) {
    const double v = load1(x + j) - first, before = v - mean;
    mean += before * (1.0 / (j + 1));  // a division that waits for no step before
    squares += before * (v - mean);
  }
  return {first + mean, squares / columns};
}

// RMSNorm: the squares alone, long double as in rung 1: of equal squares, whose sums all err alike, double loses three digits.
template <class T>
Moments around_zero(const T* x, int64_t columns) {
  long double squares = 0;
  for (int64_t j = 0; j < columns; j++) squares += double(load1(x + j)) * load1(x + j);
  return {0, double(squares / columns)};
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
    const auto [mean, variance] = p.mean ? welford(x, D) : around_zero(x, D);
    const double rstd = 1 / __builtin_sqrt(variance + p.eps);
    for (int64_t j = 0; j < D; j++) {
      const double h = (load1(x + j) - mean) * rstd;
      store1(y + j, A((weight ? h * load1(weight + j) : h) + (bias ? load1(bias + j) : 0)));
    }
    if (p.mean) ((A*)p.mean)[i] = A(mean);
    ((A*)p.rstd)[i] = A(rstd);
  }
}

template <class T>
void backward(const NormBackward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T* weight = (const T*)p.weight;
  const Scratch<double> dweight(D), dbias(D);
  fill_zeros(dweight), fill_zeros(dbias);
  for (int64_t i = 0; i < p.rows; i++) {
    const T *x = (const T*)p.x + i * D, *grad = (const T*)p.grad + i * D;
    const double mean = p.mean ? ((const A*)p.mean)[i] : 0, rstd = ((const A*)p.rstd)[i];
    double sum_a = 0, sum_ad = 0, sum_d = 0;  // d = x - mean: the saved mean is rounded, d has a mean of its own
    for (int64_t j = 0; j < D; j++) {
      const double d = load1(x + j) - mean, a = weight ? double(load1(grad + j)) * load1(weight + j) : load1(grad + j);
      sum_a += a;
      sum_ad += a * d;
      sum_d += d;
    }
    const double rest = p.mean ? sum_d / D : 0, mean_a = p.mean ? sum_a / D : 0;
    const double mean_ah = (sum_ad / D - rest * mean_a) * rstd;
    for (int64_t j = 0; j < D; j++) {
      const double g = load1(grad + j), h = (load1(x + j) - mean - rest) * rstd;
      if (p.dx) {
        const double dx = rstd * ((weight ? g * load1(weight + j) : g) - mean_a - h * mean_ah);
        store1((T*)p.dx + i * D + j, A(dx + (p.grad_total ? load1((const T*)p.grad_total + i * D + j) : 0)));
      }
      dweight[j] += g * h;
      dbias[j] += g;
    }
  }
  for (int64_t j = 0; j < D; j++) {
    if (p.dweight) store1((T*)p.dweight + j, A(dweight[j]));
    if (p.dbias) store1((T*)p.dbias + j, A(dbias[j]));
  }
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
