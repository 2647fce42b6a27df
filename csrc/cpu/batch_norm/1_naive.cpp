// BatchNorm, rung 1: one channel after another, one pass over its numbers for each sum of the formula.
// Sums are long double: added one by one in a narrower type, many numbers lose digits.
//
//   forward   mean, then variance, then y
//   backward  sum of grad and sum of grad h, then dx
#include <math.h>

#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/batch_norm.h"

namespace scratchnet {
namespace {

// f(i) for the place i of every number of channel c
template <class P, class F>
void for_each(const P& p, int64_t c, const F& f) {
  for (int64_t n = 0; n < p.images; n++)
    for (int64_t s = 0; s < p.positions; s++) f((n * p.channels + c) * p.positions + s);
}

template <class T>
double mean_of(const BatchNormBackward& p, const T* x, int64_t c) {
  long double sum = 0;
  for_each(p, c, [&](int64_t i) { sum += load1(x + i); });
  return sum / (p.images * p.positions);
}

template <class T>
void forward(const BatchNormForward& p) {
  using A = acc_t<T>;
  const T *x = (const T*)p.x, *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  const int64_t count = p.images * p.positions;
  for (int64_t c = 0; c < p.channels; c++) {
    long double mean = 0, var = 0;
    if (p.running_mean) {
      mean = load1((const T*)p.running_mean + c), var = load1((const T*)p.running_var + c);
    } else {
      for_each(p, c, [&](int64_t i) { mean += load1(x + i); });
      mean /= count;
      for_each(p, c, [&](int64_t i) { var += (load1(x + i) - mean) * (load1(x + i) - mean); });
      var /= count;
    }
    const double rstd = 1 / sqrt(double(var) + p.eps), m = mean;
    for_each(p, c, [&](int64_t i) {
      const double h = (load1(x + i) - m) * rstd;
      store1((T*)p.y + i, A((weight ? h * load1(weight + c) : h) + (bias ? load1(bias + c) : 0)));
    });
    ((A*)p.mean)[c] = A(mean);
    ((A*)p.var)[c] = A(var);
  }
}

template <class T>
void backward(const BatchNormBackward& p) {
  using A = acc_t<T>;
  const T *grad = (const T*)p.grad, *x = (const T*)p.x, *weight = (const T*)p.weight;
  const int64_t count = p.images * p.positions;
  for (int64_t c = 0; c < p.channels; c++) {
    // The saved mean is rounded to float, which costs digits where the mean is large: take it from x again.
    const double mean = p.training ? mean_of(p, x, c) : ((const A*)p.mean)[c];
    const double rstd = 1 / sqrt(((const A*)p.var)[c] + p.eps), w = weight ? load1(weight + c) : 1;
    long double sum = 0, sum_h = 0;
    for_each(p, c, [&](int64_t i) {
      sum += load1(grad + i);
      sum_h += load1(grad + i) * (load1(x + i) - mean) * rstd;
    });
    if (p.dweight) store1((T*)p.dweight + c, A(sum_h));
    if (p.dbias) store1((T*)p.dbias + c, A(sum));
    if (!p.dx) continue;
    const double mean_g = p.training ? sum / count : 0, mean_gh = p.training ? sum_h / count : 0;
    for_each(p, c, [&](int64_t i) {
      const double h = (load1(x + i) - mean) * rstd;
      const double reached = p.training ? mean_g + h * mean_gh : 0;  // through mean and var
      store1((T*)p.dx + i, A(w * rstd * (load1(grad + i) - reached)));
    });
  }
}

}  // namespace

SN_DEFINE_RUNG(BatchNormKernels, batch_norm_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
