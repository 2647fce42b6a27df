// Attention, rung 2: online softmax. The scores of a query are never all in memory: a score is used when it is computed.
//
//   forward   m, the largest score so far;  l = sum of exp(s_j - m);  o = sum of exp(s_j - m) v_j
//             a larger score: l and o are multiplied by exp(m - new m);  at the end y = o / l, lse = m + log(l)
//   backward  p_j = exp(s_j - lse) from what forward saved;  delta = g . y: no second loop over the keys
//
// https://arxiv.org/abs/1805.02867, https://arxiv.org/abs/2112.05682, https://arxiv.org/abs/2205.14135
#include "cpu/ladder.h"
#include "query.h"

namespace scratchnet {
namespace {

template <class T>
void forward(const AttentionForward& to) {
  const Scratch<double> o(to.value_size);
  for_each_query(to, [&](int64_t b, int64_t h, int64_t i) {
    const Query<T> query(to, b, h, i);
    double m = query.sink(), l = m == -INFINITY ? 0 : 1;
    fill_zeros(o);
    for (int64_t j = query.seen.begin; j < query.seen.end; j++) {
      const double s = query.score(j);
      if (s > m || isnan(s)) {
        const double shrink = m == -INFINITY ? 0 : exp(m - s);
        l *= shrink;
        for (int64_t e = 0; e < to.value_size; e++) o[e] *= shrink;
        m = s;
      }
      const double p = m == -INFINITY ? 0 : exp(s - m);
      l += p;
      for (int64_t e = 0; e < to.value_size; e++) o[e] += query.kept(j) * p * query.v(j, e);
    }
    to.lse[to.row(b, h, i)] = l == 0 ? INFINITY : m + log(l);
    T* const y = (T*)to.y + ((b * to.queries + i) * to.heads + h) * to.value_size;
    for (int64_t e = 0; e < to.value_size; e++) store1(y + e, acc_t<T>(l == 0 ? 0 : o[e] / l));
  });
}

template <class T>
void backward(const AttentionBackward& from) {
  const Gradients<T> gradients(from);
  for_each_query(from, [&](int64_t b, int64_t h, int64_t i) {
    const Query<T> query(from, b, h, i);
    const double lse = from.lse[from.row(b, h, i)];
    const T* const y = (const T*)from.y + ((b * from.queries + i) * from.heads + h) * from.value_size;
    const double delta = query.g_dot(from.grad, y);
    for (int64_t j = query.seen.begin; j < query.seen.end; j++) {
      const double dp = query.kept(j) * query.g_dot_v(from.grad, j);
      gradients.add(query, j, exp(query.score(j) - lse), dp, delta);
    }
    gradients.add_sink(query, exp(query.sink() - lse), delta);
  });
  gradients.round();
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
