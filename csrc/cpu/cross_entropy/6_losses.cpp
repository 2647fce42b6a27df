// Cross-entropy, rung 6: the loss and its gradient in registers too, with class weights, smoothing and probabilities
// (shares.h).
//
//   forward   reads x once, writes a few numbers per row:            4 bytes per element (float32)
//   backward  dx = g (p sum(a) - a), reads x, writes dx:             8 bytes
//
// Nothing of the size of the logits is saved: p = exp(x - lse) is computed again, from the lse that forward saved, without
// another pass for maximum and sum.
#include "cpu/ladder.h"
#include "layout.h"
#include "shares.h"

namespace scratchnet {
namespace {

template <class T>
void cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  using A = acc_t<T>;
  const int64_t classes = to.classes;
  const Shares<T> shares(to);
  const Pieces pieces(to.rows, classes, to.positions);
  const Losses<T> losses(to, shares, loss, pieces.count);
  // A tiny weight or share of a class makes a tiny loss, which is not zero.
  pieces.for_each_row(
      [&](int64_t piece, int64_t at, int64_t i) {
        const auto s = statistics(x + at, classes);
        const double log_sum = s.log_sum();
        lse[i] = s.max + log_sum;
        double all = 0;
        if (shares.all)
          all = -sum_of<T>(classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE {
            return shares.row(at, c, get) * (get(x + at + c) - s.max - A(log_sum));
          });
        losses.add(losses.partial[piece], i, all, [&](int64_t t) { return double(load1(x + at + t)) - s.max - log_sum; });
      },
      !shares.q && !shares.w);
  losses.total(totals);
}

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                            const double* lse, T* dx) {
  using A = acc_t<T>;
  const double scale = total_weight ? 1 / double(*total_weight) : 1;
  const int64_t classes = to.classes;
  const Shares<T> shares(to);
  const A uniform = uniform_total(to, shares);
  const auto upstream = [&](int64_t i) { return A(scale * load1(grad + (single ? 0 : i))); };
  const auto again = [&](int64_t at) {
    const auto s = statistics(x + at, classes);
    return Lse<A>(s.max, s.log_sum());
  };

  Pieces(to.rows, classes, to.positions).for_each_row([&](int64_t, int64_t at, int64_t i) {
    const auto l = Lse<A>::lost(lse[i]) ? again(at) : Lse<A>(lse[i]);
    const A g = upstream(i);
    const int64_t t = to.index ? to.index[i] : -1;
    const auto p = [&](auto logits) SN_LAMBDA_INLINE { return vexp(logits - l.high - l.low); };
    if (to.index && t == to.ignore_index) {  // p times 0
      const vec<A> zero = splat(isnan(l.high + l.low) ? A(NAN) : A(0));
      return map<T>(0, classes, [&](int64_t c, auto, auto put) SN_LAMBDA_INLINE { put(dx + at + c, zero); });
    }
    if (!shares.all) {
      const A all = g * shares.weight(t);
      const A own = all * p(splat(load1(x + at + t)))[0] - all;  // before dx, which may be x, is written
      map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(dx + at + c, all * p(get(x + at + c))); });
      return store1(dx + at + t, own);
    }
    const A own = to.index ? g * A(to.rest()) * shares.weight(t) : A(0);
    // The sum of g a_c. For class indices the a_c are the same in all rows, but infinite terms may cancel: to NaN.
    const A all =
        to.index && isfinite(g)
            ? own + g * uniform
            : own + A(sum_of<T>(classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE { return g * shares.row(at, c, get); }));
    const auto value = [&](int64_t c, auto get)
                           SN_LAMBDA_INLINE { return all * p(get(x + at + c)) - g * shares.row(at, c, get); };
    const A at_target = to.index ? value(t, [](const T* p) SN_LAMBDA_INLINE { return splat(load1(p)); })[0] - own : A(0);
    map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(dx + at + c, value(c, get)); });
    if (to.index) store1(dx + at + t, at_target);
  });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_6) = {
    SN_LAYOUT(== 1, cross_entropy_forward, cross_entropy_kernels(5)),
    SN_FROM(cross_entropy_kernels(5), cross_entropy_reduce),
    SN_LAYOUT(== 1, cross_entropy_backward, cross_entropy_kernels(5)),
    SN_FROM(cross_entropy_kernels(5), softmax_forward),
    SN_FROM(cross_entropy_kernels(5), softmax_backward),
    SN_FROM(cross_entropy_kernels(5), log_softmax_forward),
    SN_FROM(cross_entropy_kernels(5), log_softmax_backward),
    SN_FROM(cross_entropy_kernels(5), logsumexp_forward),
    SN_FROM(cross_entropy_kernels(5), logsumexp_backward),
};

}  // namespace scratchnet
