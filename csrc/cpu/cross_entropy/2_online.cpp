// Cross-entropy and softmax, rung 2: the maximum and the sum of a row in one pass over it ("online").
//
// When a larger entry comes, the sum so far is brought to it: sum_k exp(x_k - m') = exp(m - m') sum_k exp(x_k - m). That is
// rare in most rows, and a row is read twice instead of three times; for the loss alone, once and its target.
// https://arxiv.org/abs/1805.02867
#include "cpu/ladder.h"
#include "rows_scalar.h"

namespace scratchnet {
namespace {

template <class A>
struct Statistics {
  A max;
  double sum;  // of exp(x - max)

  double log_sum() const { return log(sum); }
  double logsumexp() const { return isinf(max) ? max : max + log_sum(); }  // inf - inf would be NaN
};

template <class T>
Statistics<acc_t<T>> statistics(Row<T> x) {
  acc_t<T> m = -INFINITY;
  double sum = 0;
  for (int64_t c = 0; c < x.classes; c++) {
    const acc_t<T> next = x[c];
    if (next > m || isnan(next)) {
      sum = m == -INFINITY ? 0 : sum * exp(double(m) - next);
      m = next;
    }
    if (next != -INFINITY) sum += exp(next - m);
  }
  return {m, m == -INFINITY ? NAN : sum};  // a row of -inf alone has no softmax
}

template <class T>
void cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  Totals total;
  for_each_row(to.rows, to.classes, to.positions, [&](int64_t at, int64_t i) {
    const auto s = statistics(row(x + at, to.classes, to.positions));
    add_loss(to, x, at, i, s.max, s.log_sum(), loss, total);
    lse[i] = s.max + s.log_sum();
  });
  totals->add(total);
}

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                            const double*, T* dx) {
  const double scale = total_weight ? 1 / double(*total_weight) : 1;
  for_each_row(to.rows, to.classes, to.positions, [&](int64_t at, int64_t i) {
    const auto logits = row(x + at, to.classes, to.positions);
    const auto s = statistics(logits);
    const double m = s.max, log_sum = s.log_sum();
    const auto p = [&](int64_t c) { return exp(logits[c] - m - log_sum); };
    set_gradient(to, at, i, scale * load1(grad + (single ? 0 : i)), p, dx);
  });
}

template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t) {
    const auto from = row(x + at, classes, inner), to = row(y + at, classes, inner);
    const auto s = statistics(from);
    for (int64_t c = 0; c < classes; c++) to.set(c, acc_t<T>(exp(from[c] - s.max) / s.sum));
  });
}

template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t) {
    const auto from = row(x + at, classes, inner), to = row(y + at, classes, inner);
    const auto s = statistics(from);
    const double log_sum = s.log_sum();
    for (int64_t c = 0; c < classes; c++) to.set(c, acc_t<T>(from[c] - s.max - log_sum));
  });
}

template <class T>
void logsumexp_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner,
               [&](int64_t at, int64_t i) { store1(y + i, acc_t<T>(statistics(row(x + at, classes, inner)).logsumexp())); });
}

template <class T>
void logsumexp_backward(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row(outer, classes, inner, [&](int64_t at, int64_t i) {
    const auto from = row(x + at, classes, inner), d = row(dx + at, classes, inner);
    const double lse = statistics(from).logsumexp();
    for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(load1(grad + i) * exp(from[c] - lse)));
  });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_2) = {
    SN_TYPED(cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(1), cross_entropy_reduce),
    SN_TYPED(cross_entropy_backward),
    SN_TYPED(softmax_forward),
    SN_FROM(cross_entropy_kernels(1), softmax_backward),
    SN_TYPED(log_softmax_forward),
    SN_FROM(cross_entropy_kernels(1), log_softmax_backward),
    SN_TYPED(logsumexp_forward),
    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
