// Cross-entropy and softmax, rung 1: the formulas, one row after another, exp and log from the C library.
//
//   log-softmax    l_c = (x_c - m) - log(sum_k exp(x_k - m)), m = max(x): no exponential overflows
//   cross-entropy  loss = -sum_c a_c l_c, dx_c = g (p_c sum(a) - a_c)
//
// Every row is read three times: for its largest entry, for the sum and for the result.
#include <math.h>

#include "cpu/ladder.h"
#include "rows_scalar.h"

namespace scratchnet {
namespace {

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

template <class T>
void cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  Totals total;
  for_each_row(to.rows, to.classes, to.positions, [&](int64_t at, int64_t i) {
    const auto logits = row(x + at, to.classes, to.positions);
    const double m = largest(logits), log_sum = log(sum_of_exp(logits, acc_t<T>(m)));
    add_loss(to, x, at, i, m, log_sum, loss, total);
    lse[i] = m + log_sum;
  });
  totals->add(total);
}

template <class T>
void cross_entropy_reduce(const Totals* totals, bool mean, T* loss, acc_t<T>* total_weight) {
  if (loss) store1(loss, acc_t<T>(totals->value(mean)));
  *total_weight = acc_t<T>(totals->weight.total());
}

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                            const double*, T* dx) {
  const double scale = total_weight ? 1 / double(*total_weight) : 1;
  for_each_row(to.rows, to.classes, to.positions, [&](int64_t at, int64_t i) {
    const auto logits = row(x + at, to.classes, to.positions);
    const double m = largest(logits), log_sum = log(sum_of_exp(logits, acc_t<T>(m)));
    const auto p = [&](int64_t c) { return exp(logits[c] - m - log_sum); };
    set_gradient(to, at, i, scale * load1(grad + (single ? 0 : i)), p, dx);
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

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_1) = {
    SN_TYPED(cross_entropy_forward), SN_TYPED(cross_entropy_reduce), SN_TYPED(cross_entropy_backward),
    SN_TYPED(softmax_forward),       SN_TYPED(softmax_backward),     SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),  SN_TYPED(logsumexp_forward),    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
