// Cross-entropy and softmax, rung 1: the formulas, one row after another, exp and log from the C library.
//
//   log-softmax    l_c = (x_c - m) - log(sum_k exp(x_k - m)), m = max(x): no exponential overflows
//   cross-entropy  loss = -sum_c a_c l_c, dx_c = g (p_c sum(a) - a_c)
//
// Every row is read three times: for its largest entry, for the sum and for the result.
#include <math.h>

#include "cross_entropy.h"
#include "scalar.h"

namespace scratchnet {
namespace {

// A row of classes: its entries lie `stride` apart.
template <class T>
struct Row {
  T* p;
  int64_t classes, stride;
  acc_t<T> operator[](int64_t c) const { return load1(p + c * stride); }
  void set(int64_t c, acc_t<T> value) const { store1(p + c * stride, value); }
};

// Calls f(first element, row number) for every row of a tensor (outer, classes, inner).
template <class F>
void for_each_row(int64_t outer, int64_t classes, int64_t inner, const F& f) {
  for (int64_t i = 0; i < outer; i++)
    for (int64_t j = 0; j < inner; j++) f(i * classes * inner + j, i * inner + j);
}

template <class T>
Row<T> row(const T* p, int64_t classes, int64_t stride) {
  return {const_cast<T*>(p), classes, stride};
}

template <class T>
acc_t<T> largest(Row<T> x) {
  acc_t<T> m = -INFINITY;
  for (int64_t c = 0; c < x.classes; c++)
    if (x[c] > m || isnan(x[c])) m = x[c];
  return m;
}

template <class T>
double sum_of_exp(Row<T> x, acc_t<T> m) {
  double sum = 0;
  for (int64_t c = 0; c < x.classes; c++) sum += exp(x[c] - m);
  return sum;
}

// a_c, the factor of the log-probability of class c
template <class T>
double share(const Targets& to, int64_t at, int64_t index, int64_t c) {
  const double w = to.weight ? load1((const T*)to.weight + c) : 1;
  const double q = to.index ? c == index : load1((const T*)to.probabilities + at + c * to.positions);
  return w * (to.rest() * q + to.uniform());
}

// Entries with no share are left out: a log-probability of -inf times 0 would be NaN.
bool counts(const Targets& to, int64_t index, int64_t c) {
  return !to.index || (index != to.ignore_index && (c == index || to.smoothing > 0));
}

template <class T>
Totals cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse) {
  Totals total;
  for_each_row(to.rows, to.classes, to.positions, [&](int64_t at, int64_t i) {
    const auto logits = row(x + at, to.classes, to.positions);
    const int64_t index = to.index ? to.index[i] : -1;
    const double m = largest(logits), log_sum = log(sum_of_exp(logits, acc_t<T>(m)));
    Sum sum;
    for (int64_t c = 0; c < to.classes; c++)
      if (counts(to, index, c)) sum.add(-share<T>(to, at, index, c) * (logits[c] - m - log_sum));
    lse[i] = m + log_sum;
    if (loss) store1(loss + i, acc_t<T>(sum.total()));
    total.loss.add(sum.total());
    if (!to.index) total.weight.add(to.classes > 0);
    else if (index != to.ignore_index) total.weight.add(to.weight ? load1((const T*)to.weight + index) : 1);
  });
  return total;
}

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, double scale, const T* x, const double*, T* dx) {
  for_each_row(to.rows, to.classes, to.positions, [&](int64_t at, int64_t i) {
    const auto logits = row(x + at, to.classes, to.positions), d = row(dx + at, to.classes, to.positions);
    const int64_t index = to.index ? to.index[i] : -1;
    const double g = scale * load1(grad + (single ? 0 : i));
    const double m = largest(logits), log_sum = log(sum_of_exp(logits, acc_t<T>(m)));
    double sum = 0;  // g sum(a)
    for (int64_t c = 0; c < to.classes; c++)
      if (counts(to, index, c)) sum += g * share<T>(to, at, index, c);
    for (int64_t c = 0; c < to.classes; c++) {
      const double own = counts(to, index, c) ? g * share<T>(to, at, index, c) : 0;
      d.set(c, acc_t<T>(exp(logits[c] - m - log_sum) * sum - own));
    }
  });
}

template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t) {
    const auto from = row(x + at, classes, inner), to = row(y + at, classes, inner);
    const acc_t<T> m = largest(from);
    const double sum = sum_of_exp(from, m);
    for (int64_t c = 0; c < classes; c++) to.set(c, acc_t<T>(exp(from[c] - m) / sum));
  });
}

// dx = y (grad - sum(grad y))
template <class T>
void softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t) {
    const auto g = row(grad + at, classes, inner), p = row(y + at, classes, inner), d = row(dx + at, classes, inner);
    double sum = 0;
    for (int64_t c = 0; c < classes; c++) sum += double(g[c]) * p[c];
    for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(p[c] * (g[c] - sum)));
  });
}

template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t) {
    const auto from = row(x + at, classes, inner), to = row(y + at, classes, inner);
    const acc_t<T> m = largest(from);
    const double log_sum = log(sum_of_exp(from, m));
    for (int64_t c = 0; c < classes; c++) to.set(c, acc_t<T>(from[c] - m - log_sum));
  });
}

// dx = grad - exp(y) sum(grad)
template <class T>
void log_softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t) {
    const auto g = row(grad + at, classes, inner), l = row(y + at, classes, inner), d = row(dx + at, classes, inner);
    double sum = 0;
    for (int64_t c = 0; c < classes; c++) sum += g[c];
    for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(g[c] - exp(l[c]) * sum));
  });
}

template <class T>
double logsumexp(Row<T> x) {
  const acc_t<T> m = largest(x);
  return isinf(m) ? m : m + log(sum_of_exp(x, m));  // inf - inf would be NaN
}

template <class T>
void logsumexp_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner,
               [&](int64_t at, int64_t i) { store1(y + i, acc_t<T>(logsumexp(row(x + at, classes, inner)))); });
}

// dx = grad exp(x - y)
template <class T>
void logsumexp_backward(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t i) {
    const auto from = row(x + at, classes, inner), d = row(dx + at, classes, inner);
    const double lse = logsumexp(from);
    for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(load1(grad + i) * exp(from[c] - lse)));
  });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_1) = SN_CROSS_ENTROPY_KERNELS;

}  // namespace scratchnet
