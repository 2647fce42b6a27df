// What the rungs of the loss in registers share: the factors of the log-probabilities, and p from the saved logarithm.
#pragma once
#include "cpu/memory.h"
#include "in_registers.h"

namespace scratchnet {
namespace {

// The factors a_c = w_c (rest q_c + uniform); with class indices without the `rest` of the class that is the target.
template <class T>
struct Shares {
  using A = acc_t<T>;
  const T *q, *w;
  A rest, uniform;
  bool all;  // every class has one, not the target alone

  explicit Shares(const Targets& to)
      : q((const T*)to.probabilities),
        w((const T*)to.weight),
        rest(to.rest()),
        uniform(to.uniform()),
        all(!to.index || to.smoothing > 0) {}

  A weight(int64_t c) const { return w ? load1(w + c) : A(1); }

  // of a vector of classes of the row whose elements begin at `at`
  template <class Get>
  SN_INLINE vec<A> row(int64_t at, int64_t c, const Get& get) const {
    const vec<A> v = q ? rest * get(q + at + c) + uniform : splat(uniform);
    return w ? v * get(w + c) : v;
  }
  // of class c of a vector of rows whose elements of that class begin at `at`
  template <class Get>
  SN_INLINE vec<A> strip(int64_t at, int64_t c, const Get& get) const {
    return (q ? rest * get(q + at) + uniform : splat(uniform)) * weight(c);
  }
};

// sum_c w_c uniform: what all classes together have beside the target of a row with a class index
template <class T>
acc_t<T> uniform_total(const Targets& to, const Shares<T>& shares) {
  if (shares.q || !shares.all) return 0;
  return sum_of<T>(to.classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE { return shares.row(0, c, get); });
}

// The sums over all rows, made of one for each piece, in order.
template <class T>
struct Losses {
  const Targets& to;
  const Shares<T>& shares;
  T* const loss;  // or null
  const Scratch<Totals> partial;

  Losses(const Targets& to, const Shares<T>& shares, T* loss, int64_t pieces)
      : to(to), shares(shares), loss(loss), partial(pieces) {
    fill_zeros(partial);
  }
  // Loss of row i, given all that its classes have in it beside the rest of the target, whose log-probability is `own`.
  template <class Own>
  SN_INLINE void add(Totals& sums, int64_t i, double all, const Own& own) const {
    double w = to.classes > 0, value = all;
    if (to.index) {
      const int64_t t = to.index[i];
      w = t == to.ignore_index ? 0 : shares.weight(t);
      value = t == to.ignore_index ? 0 : all - to.rest() * w * own(t);
    }
    if (loss) store1(loss + i, acc_t<T>(value));
    sums.loss.add(value);
    sums.weight.add(w);
  }
  void total(Totals* totals) const {
    Totals total;
    for (int64_t p = 0; p < partial.size; p++) total.add(partial[p]);
    totals->add(total);
  }
};

// p = exp(x - high - low) has all digits of x - lse.
template <class A>
struct Lse {
  A high, low;
  explicit Lse(double lse) : high(A(lse)), low(A(lse - high)) {}
  Lse(A max, double log_sum) : high(max), low(A(log_sum)) {}

  // Whether lse has not all digits of log(sum) that p needs, a double to itself never: max and sum are made again.
  static bool lost(double lse) { return sizeof(A) == 8 || fabs(lse) > 1 << 28; }
};

}  // namespace
}  // namespace scratchnet
