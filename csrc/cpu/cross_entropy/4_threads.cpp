// Cross-entropy and softmax, rung 4: rows split over threads, everything done to a number while it is in a register.
//
//   cross-entropy   forward   reads x once, writes a few numbers per row:            4 bytes per element (float32)
//                   backward  dx = g (p sum(a) - a), reads x, writes dx:           8 bytes
//   softmax         y = exp(x - max) / sum, the second reading from cache:         8 bytes
//                   backward  reads two, writes one:                              12 bytes
//
// Nothing of the size of the logits is saved: p = exp(x - lse) is computed again from them.
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "online.h"
#include "ops/cross_entropy.h"

namespace scratchnet {
namespace {

// ---- cross-entropy ------------------------------------------------------------------------------------------------------

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

template <class T>
void cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  using A = acc_t<T>;
  const int64_t classes = to.classes, stride = to.positions;
  const Shares<T> shares(to);
  const Pieces pieces(to.rows, classes, to.positions);
  const Scratch<Totals> partial(pieces.count);
  fill_zeros(partial);

  // Loss of row i, given all that its classes have in it beside the rest of the target, whose log-probability is `own`.
  const auto add = [&](Totals& sums, int64_t i, double all, auto own) SN_LAMBDA_INLINE {
    double w = classes > 0, value = all;
    if (to.index) {
      const int64_t t = to.index[i];
      w = t == to.ignore_index ? 0 : shares.weight(t);
      value = t == to.ignore_index ? 0 : all - to.rest() * w * own(t);
    }
    if (loss) store1(loss + i, A(value));
    sums.loss.add(value);
    sums.weight.add(w);
  };

  pieces.for_each(
      [&](int64_t piece, int64_t at, int64_t i) {
        const auto s = statistics(x + at, classes);
        const double log_sum = s.log_sum();
        lse[i] = s.max + log_sum;
        double all = 0;
        if (shares.all)
          all = -sum_of<T>(classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE {
            return shares.row(at, c, get) * (get(x + at + c) - s.max - A(log_sum));
          });
        add(partial[piece], i, all, [&](int64_t t) { return double(load1(x + at + t)) - s.max - log_sum; });
      },
      [&](int64_t piece, int64_t at, int64_t i, int64_t width) {
        Each<A> max, log_sum, all = {};
        statistics(x + at, classes, stride, width, max, log_sum);
        for (int64_t j = 0; j < width; j++) {
          log_sum[j] = log(log_sum[j]);
          lse[i + j] = double(max[j]) + log_sum[j];
        }
        if (shares.all)
          sum_strip<T>(classes, width, all, [&](int64_t c, int64_t j, auto get) SN_LAMBDA_INLINE {
            const int64_t here = at + c * stride + j;
            return -shares.strip(here, c, get) * (get(x + here) - get(max + j) - get(log_sum + j));
          });
        for (int64_t j = 0; j < width; j++)
          add(partial[piece], i + j, all[j], [&](int64_t t) { return load1(x + at + t * stride + j) - max[j] - log_sum[j]; });
      },
      !shares.q && !shares.w);  // a tiny weight or share of a class makes a tiny loss, which is not zero

  Totals total;
  for (int64_t p = 0; p < pieces.count; p++) total.add(partial[p]);
  totals->add(total);
}

// p = exp(x - high - low) has all digits of x - lse.
template <class A>
struct Lse {
  A high, low;
  explicit Lse(double lse) : high(A(lse)), low(A(lse - high)) {}
  Lse(A max, double log_sum) : high(max), low(A(log_sum)) {}

  // Whether lse has not all digits of log(sum) that p needs, a double to itself never: max and sum are made again.
  static bool lost(double lse) { return sizeof(A) == 8 || fabs(lse) > 1 << 28; }
};

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                            const double* lse, T* dx) {
  using A = acc_t<T>;
  const double scale = total_weight ? 1 / double(*total_weight) : 1;
  const int64_t classes = to.classes, stride = to.positions;
  const Shares<T> shares(to);
  const A uniform = uniform_total(to, shares);
  const auto upstream = [&](int64_t i) { return A(scale * load1(grad + (single ? 0 : i))); };
  const auto again = [&](int64_t at) {
    const auto s = statistics(x + at, classes);
    return Lse<A>(s.max, s.log_sum());
  };

  Pieces(to.rows, classes, to.positions)
      .for_each(
          [&](int64_t, int64_t at, int64_t i) {
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
              map<T>(0, classes,
                     [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(dx + at + c, all * p(get(x + at + c))); });
              return store1(dx + at + t, own);
            }
            const A own = to.index ? g * A(to.rest()) * shares.weight(t) : A(0);
            // The sum of g a_c. For class indices the a_c are the same in all rows, but infinite terms may cancel: to NaN.
            const A all = to.index && isfinite(g) ? own + g * uniform
                                                  : own + A(sum_of<T>(classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE {
                                                      return g * shares.row(at, c, get);
                                                    }));
            const auto value = [&](int64_t c, auto get)
                                   SN_LAMBDA_INLINE { return all * p(get(x + at + c)) - g * shares.row(at, c, get); };
            const A at_target =
                to.index ? value(t, [](const T* p) SN_LAMBDA_INLINE { return splat(load1(p)); })[0] - own : A(0);
            map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(dx + at + c, value(c, get)); });
            if (to.index) store1(dx + at + t, at_target);
          },
          [&](int64_t, int64_t at, int64_t i, int64_t width) {
            using I = typename Simd<A>::I;
            Each<A> high, low, g, own, all = {};
            Each<integer<A>> target;
            bool lost = false, each = shares.q;  // whether the sum over the classes is taken row by row, see above
            for (int64_t j = 0; j < width; j++) {
              const Lse<A> l(lse[i + j]);
              high[j] = l.high, low[j] = l.low;
              lost |= l.lost(lse[i + j]);
              const int64_t t = to.index ? to.index[i + j] : -1;
              const bool counts = !to.index || t != to.ignore_index;
              g[j] = counts ? upstream(i + j) : A(0);
              own[j] = to.index && counts ? g[j] * A(to.rest()) * shares.weight(t) : A(0);
              target[j] = t;
              each |= shares.all && !isfinite(g[j]);
            }
            if (each)
              sum_strip<T>(classes, width, all, [&](int64_t c, int64_t j, auto get) SN_LAMBDA_INLINE {
                return get(g + j) * shares.strip(at + c * stride + j, c, get);
              });
            for (int64_t j = 0; j < width; j++) all[j] += own[j] + (shares.all && !each ? g[j] * uniform : A(0));
            if (lost) {
              statistics(x + at, classes, stride, width, high, low);
              for (int64_t j = 0; j < width; j++) low[j] = log(low[j]);
            }
            for (int64_t c = 0; c < classes; c++)
              map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
                const int64_t here = at + c * stride + j;
                vec<A> d = get(all + j) * vexp(get(x + here) - get(high + j) - get(low + j));
                I t;
                memcpy(&t, target + j, sizeof t);
                if (to.index) d -= t == integer<A>(c) ? get(own + j) : splat(A(0));
                if (shares.all) d -= get(g + j) * shares.strip(here, c, get);
                put(dx + here, d);
              });
          });
}

// ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------

// y = to(x - high, low) with two numbers of each row made of its statistics; SHARES: y = exp(x - high) low, and the
// exponentials of a short row are kept between its sum and y.
template <class T, bool SHARES, class Finish, class To>
SN_INLINE void normalize(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner, const Finish& finish, const To& to) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner)
      .for_each(
          [&](int64_t, int64_t at, int64_t) {
            if (SHARES && classes <= BLOCK) {
              A e[BLOCK + lanes<A>];
              const vec<A> low = splat(A(finish(statistics(x + at, classes, e).sum)));
              map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(y + at + c, get(e + c) * low); });
              return;
            }
            const auto s = statistics(x + at, classes);
            const vec<A> max = splat(s.max), low = splat(A(finish(s.sum)));
            map<T>(0, classes,
                   [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(y + at + c, to(get(x + at + c) - max, low)); });
          },
          [&](int64_t, int64_t at, int64_t, int64_t width) {
            Each<A> max, low;
            statistics(x + at, classes, inner, width, max, low);
            for (int64_t j = 0; j < width; j++) low[j] = finish(low[j]);
            for (int64_t c = 0; c < classes; c++)
              map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
                const int64_t here = at + c * inner + j;
                put(y + here, to(get(x + here) - get(max + j), get(low + j)));
              });
          });
}

template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  normalize<T, true>(
      x, y, outer, classes, inner, [](auto sum) { return 1 / sum; },
      [](auto x, auto inverse) SN_LAMBDA_INLINE { return vexp(x) * inverse; });
}

template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  normalize<T, false>(
      x, y, outer, classes, inner, [](auto sum) { return log(sum); },
      [](auto x, auto log_sum) SN_LAMBDA_INLINE { return x - log_sum; });
}

// dx = to(grad, y, sum over the row of term(grad, y))
template <class T, class Term, class To>
SN_INLINE void project(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner, const Term& term,
                       const To& to) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner)
      .for_each(
          [&](int64_t, int64_t at, int64_t) {
            const vec<A> sum = splat(A(sum_of<T>(
                classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE { return term(get(grad + at + c), get(y + at + c)); })));
            map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE {
              put(dx + at + c, to(get(grad + at + c), get(y + at + c), sum));
            });
          },
          [&](int64_t, int64_t at, int64_t, int64_t width) {
            Each<A> sum = {};
            sum_strip<T>(classes, width, sum, [&](int64_t c, int64_t j, auto get) SN_LAMBDA_INLINE {
              const int64_t here = at + c * inner + j;
              return term(get(grad + here), get(y + here));
            });
            for (int64_t c = 0; c < classes; c++)
              map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
                const int64_t here = at + c * inner + j;
                put(dx + here, to(get(grad + here), get(y + here), get(sum + j)));
              });
          });
}

template <class T>
void softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  project(
      grad, y, dx, outer, classes, inner, [](auto g, auto y) SN_LAMBDA_INLINE { return g * y; },
      [](auto g, auto y, auto sum) SN_LAMBDA_INLINE { return y * (g - sum); });
}

template <class T>
void log_softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  project(
      grad, y, dx, outer, classes, inner, [](auto g, auto) SN_LAMBDA_INLINE { return g; },
      [](auto g, auto y, auto sum) SN_LAMBDA_INLINE { return g - vexp(y) * sum; });
}

// log(sum) of each row of a strip in place of its sum; 0 where the maximum is infinite and alone the result.
template <class A>
void logarithms(const A* max, A* sum, int64_t width) {
  for (int64_t j = 0; j < width; j++) sum[j] = isinf(max[j]) ? A(0) : log(sum[j]);
}

template <class T>
void logsumexp_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner)
      .for_each([&](int64_t, int64_t at, int64_t i) { store1(y + i, A(statistics(x + at, classes).logsumexp())); },
                [&](int64_t, int64_t at, int64_t i, int64_t width) {
                  Each<A> max, log_sum;
                  statistics(x + at, classes, inner, width, max, log_sum);
                  logarithms<A>(max, log_sum, width);
                  for (int64_t j = 0; j < width; j++) store1(y + i + j, max[j] + log_sum[j]);
                });
}

// dx = grad exp(x - y)
template <class T>
void logsumexp_backward(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner)
      .for_each(
          [&](int64_t, int64_t at, int64_t i) {
            const auto s = statistics(x + at, classes);
            const A log_sum = isinf(s.max) ? 0 : s.log_sum(), g = load1(grad + i);
            map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE {
              put(dx + at + c, g * vexp(get(x + at + c) - s.max - log_sum));
            });
          },
          [&](int64_t, int64_t at, int64_t i, int64_t width) {
            Each<A> max, log_sum;
            statistics(x + at, classes, inner, width, max, log_sum);
            logarithms<A>(max, log_sum, width);
            for (int64_t c = 0; c < classes; c++)
              map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
                const int64_t here = at + c * inner + j;
                put(dx + here, get(grad + i + j) * vexp(get(x + here) - get(max + j) - get(log_sum + j)));
              });
          });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_4) = {
    SN_TYPED(cross_entropy_forward),  SN_FROM(cross_entropy_kernels(3), cross_entropy_reduce),
    SN_TYPED(cross_entropy_backward), SN_TYPED(softmax_forward),
    SN_TYPED(softmax_backward),       SN_TYPED(log_softmax_forward),
    SN_TYPED(log_softmax_backward),   SN_TYPED(logsumexp_forward),
    SN_TYPED(logsumexp_backward),
};

}  // namespace scratchnet
