// Cross-entropy, rung 8: strips of rows for the loss and its gradient, as in rung 7.
//
// What a row has to itself, its target, its weight and the gradient of its loss, is an array over the strip now; the target's
// own share is subtracted where a lane's class is the lane's target.
#include "cpu/ladder.h"
#include "layout.h"
#include "shares.h"
#include "strips.h"

namespace scratchnet {
namespace {

template <class T>
void cross_entropy_forward(const Targets& to, const T* x, T* loss, double* lse, Totals* totals) {
  using A = acc_t<T>;
  const int64_t classes = to.classes, stride = to.positions;
  const Shares<T> shares(to);
  const Pieces pieces(to.rows, classes, to.positions);
  const Losses<T> losses(to, shares, loss, pieces.count);
  // A tiny weight or share of a class makes a tiny loss, which is not zero.
  pieces.for_each_strip(
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
        Totals& sums = losses.partial[piece];
        for (int64_t j = 0; j < width; j++)
          losses.add(sums, i + j, all[j], [&](int64_t t) { return load1(x + at + t * stride + j) - max[j] - log_sum[j]; });
      },
      !shares.q && !shares.w);
  losses.total(totals);
}

template <class T>
void cross_entropy_backward(const Targets& to, const T* grad, bool single, const acc_t<T>* total_weight, const T* x,
                            const double* lse, T* dx) {
  using A = acc_t<T>;
  const double scale = total_weight ? 1 / double(*total_weight) : 1;
  const int64_t classes = to.classes, stride = to.positions;
  const Shares<T> shares(to);
  const A uniform = uniform_total(to, shares);
  const auto upstream = [&](int64_t i) { return A(scale * load1(grad + (single ? 0 : i))); };

  Pieces(to.rows, classes, to.positions).for_each_strip([&](int64_t, int64_t at, int64_t i, int64_t width) {
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

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_8) = {
    SN_LAYOUT(!= 1, cross_entropy_forward, cross_entropy_kernels(7)),
    SN_FROM(cross_entropy_kernels(7), cross_entropy_reduce),
    SN_LAYOUT(!= 1, cross_entropy_backward, cross_entropy_kernels(7)),
    SN_FROM(cross_entropy_kernels(7), softmax_forward),
    SN_FROM(cross_entropy_kernels(7), softmax_backward),
    SN_FROM(cross_entropy_kernels(7), log_softmax_forward),
    SN_FROM(cross_entropy_kernels(7), log_softmax_backward),
    SN_FROM(cross_entropy_kernels(7), logsumexp_forward),
    SN_FROM(cross_entropy_kernels(7), logsumexp_backward),
};

}  // namespace scratchnet
