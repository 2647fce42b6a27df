// Cross-entropy and softmax, rung 4: rows are split over the threads.
//
// Rows do not depend on each other, so each thread takes some, with a copy and room of its own. The loss alone is a sum over
// all of them: it is summed in pieces that depend on the tensor's shape only (pieces.h), and the pieces are added in order.
// The bits are the same for any number of threads.
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "pieces.h"
#include "rows_scalar.h"

namespace scratchnet {
namespace {

// Calls f(first element, row number, row, exponentials, piece) for every row: its entries in order in the type they are
// computed in, room for as many results, and the number of its piece, which one thread takes. (outer, classes, inner) is cut
// as what it becomes by the copies, rows in order.
template <class T, class F>
void for_each_row_in_order(const T* x, int64_t outer, int64_t classes, int64_t inner, const F& f) {
  using A = acc_t<T>;
  const int64_t rows = outer * inner;
  const Pieces pieces(rows, classes, 1);
  const int64_t each = pieces.rows;
  parallel_for(0, pieces.count, 1 + GRAIN / 2 / (each * classes + 1), [&](int64_t begin, int64_t end) {
    const Scratch<A> copy(classes), room(classes);
    for (int64_t i = begin * each; i < min(end * each, rows); i++) {
      const int64_t at = i / inner * classes * inner + i % inner;
      const auto from = row(x + at, classes, inner);
      for (int64_t c = 0; c < classes; c++) copy[c] = from[c];
      f(at, i, copy.data(), room.data(), i / each);
    }
  });
}

// y = exp(x - high - low)
template <class A>
void exponentials(const A* x, A high, A low, A* y, int64_t n) {
  map<A>(0, n, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(y + c, vexp(get(x + c) - high - low)); });
}

template <class T>
void cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  const Scratch<Totals> partial(Pieces(to.rows * to.positions, to.classes, 1).count);
  fill_zeros(partial);
  for_each_row_in_order(x, to.rows, to.classes, to.positions,
                        [&](int64_t at, int64_t i, const auto* logits, auto*, int64_t piece) {
                          const auto s = statistics(logits, to.classes);
                          add_loss(to, x, at, i, s.max, s.log_sum(), loss, partial[piece]);
                          lse[i] = s.max + s.log_sum();
                        });
  Totals total;
  for (int64_t piece = 0; piece < partial.size; piece++) total.add(partial[piece]);
  totals->add(total);
}

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                            const double*, T* dx) {
  const double scale = total_weight ? 1 / double(*total_weight) : 1;
  for_each_row_in_order(x, to.rows, to.classes, to.positions, [&](int64_t at, int64_t i, const auto* logits, auto* p, int64_t) {
    const auto s = statistics(logits, to.classes);
    exponentials<acc_t<T>>(logits, s.max, s.log_sum(), p, to.classes);
    set_gradient(to, at, i, scale * load1(grad + (single ? 0 : i)), [&](int64_t c) { return p[c]; }, dx);
  });
}

template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row_in_order(x, outer, classes, inner, [&](int64_t at, int64_t, const auto* from, auto* e, int64_t) {
    const auto s = statistics(from, classes);
    const acc_t<T> inverse = 1 / s.sum;
    const auto to = row(y + at, classes, inner);
    exponentials<acc_t<T>>(from, s.max, 0, e, classes);
    for (int64_t c = 0; c < classes; c++) to.set(c, e[c] * inverse);
  });
}

template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row_in_order(x, outer, classes, inner, [&](int64_t at, int64_t, const auto* from, auto*, int64_t) {
    const auto s = statistics(from, classes);
    const acc_t<T> log_sum = s.log_sum();
    const auto to = row(y + at, classes, inner);
    for (int64_t c = 0; c < classes; c++) to.set(c, from[c] - s.max - log_sum);
  });
}

// dx = grad - exp(y) sum(grad)
template <class T>
void log_softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row_in_order(y, outer, classes, inner, [&](int64_t at, int64_t, const auto* l, auto* p, int64_t) {
    const auto g = row(grad + at, classes, inner), d = row(dx + at, classes, inner);
    exponentials<acc_t<T>>(l, 0, 0, p, classes);
    double sum = 0;
    for (int64_t c = 0; c < classes; c++) sum += g[c];
    for (int64_t c = 0; c < classes; c++) d.set(c, acc_t<T>(g[c] - p[c] * sum));
  });
}

template <class T>
void logsumexp_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row_in_order(x, outer, classes, inner, [&](int64_t, int64_t i, const auto* from, auto*, int64_t) {
    store1(y + i, acc_t<T>(statistics(from, classes).logsumexp()));
  });
}

// dx = grad exp(x - y)
template <class T>
void logsumexp_backward(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  for_each_row_in_order(x, outer, classes, inner, [&](int64_t at, int64_t i, const auto* from, auto* e, int64_t) {
    const auto s = statistics(from, classes);
    const auto d = row(dx + at, classes, inner);
    exponentials<acc_t<T>>(from, s.max, isinf(s.max) ? 0 : s.log_sum(), e, classes);
    for (int64_t c = 0; c < classes; c++) d.set(c, load1(grad + i) * e[c]);
  });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_4) = {
    SN_TYPED(cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(3), cross_entropy_reduce),
    SN_TYPED(cross_entropy_backward),
    SN_TYPED(softmax_forward),
    SN_FROM(cross_entropy_kernels(3), softmax_backward),
    SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),
    SN_TYPED(logsumexp_forward),
    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
