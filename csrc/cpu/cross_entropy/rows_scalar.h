// A row of classes, one entry at a time: its loss and the gradient of that from its maximum and the logarithm of its sum.
#pragma once
#include "cpu/scalar.h"
#include "ops/cross_entropy.h"

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

template <class T>
Row<T> row(const T* p, int64_t classes, int64_t stride) {
  return {const_cast<T*>(p), classes, stride};
}

// Calls f(first element, row number) for every row of a tensor (outer, classes, inner).
template <class F>
void for_each_row(int64_t outer, int64_t classes, int64_t inner, const F& f) {
  for (int64_t i = 0; i < outer; i++)
    for (int64_t j = 0; j < inner; j++) f(i * classes * inner + j, i * inner + j);
}

// The class index of row i, if the targets are of that kind.
inline int64_t target_of(const Targets& to, int64_t i) { return to.index ? to.index[i] : -1; }

// a_c, the factor of the log-probability of class c in the row that begins at `at`
template <class T>
double share(const Targets& to, int64_t at, int64_t index, int64_t c) {
  const double w = to.weight ? load1((const T*)to.weight + c) : 1;
  const double q = to.index ? c == index : load1((const T*)to.probabilities + at + c * to.positions);
  return w * (to.rest() * q + to.uniform());
}

// Entries with no share are left out: a log-probability of -inf times 0 would be NaN.
inline bool counts(const Targets& to, int64_t index, int64_t c) {
  return !to.index || (index != to.ignore_index && (c == index || to.smoothing > 0));
}

// The loss of row i, -sum_c a_c l_c with l_c = x_c - m - log_sum, to where it belongs.
template <class T>
void add_loss(const Targets& to, const T* x, int64_t at, int64_t i, double m, double log_sum, T* loss, Totals& total) {
  const auto logits = row(x + at, to.classes, to.positions);
  const int64_t index = target_of(to, i);
  Sum sum;
  for (int64_t c = 0; c < to.classes; c++)
    if (counts(to, index, c)) sum.add(-share<T>(to, at, index, c) * (logits[c] - m - log_sum));
  if (loss) store1(loss + i, acc_t<T>(sum.total()));
  total.loss.add(sum.total());
  if (!to.index) total.weight.add(to.classes > 0);
  else if (index != to.ignore_index) total.weight.add(to.weight ? load1((const T*)to.weight + index) : 1);
}

// The gradient of row i, dx_c = g (p_c sum(a) - a_c), from its probabilities p(c).
template <class T, class Probability>
void set_gradient(const Targets& to, int64_t at, int64_t i, double g, const Probability& p, T* dx) {
  const auto d = row(dx + at, to.classes, to.positions);
  const int64_t index = target_of(to, i);
  double sum = 0;  // g sum(a)
  for (int64_t c = 0; c < to.classes; c++)
    if (counts(to, index, c)) sum += g * share<T>(to, at, index, c);
  for (int64_t c = 0; c < to.classes; c++)
    d.set(c, acc_t<T>(p(c) * sum - (counts(to, index, c) ? g * share<T>(to, at, index, c) : 0)));
}

}  // namespace
}  // namespace scratchnet
