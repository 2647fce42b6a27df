// Attention, rung 1: the definition, one query after another, with all scores of that query in memory.
//
//   forward   s_j = score(q, k_j),  p = softmax(s),  y = sum_j p_j v_j
//   backward  p again;  dp_j = g . v_j,  delta = sum_j p_j dp_j,  ds_j = p_j (dp_j - delta)
//
// Everything that a query needs is computed by three loops over its keys: for the largest score, for the sum, for the result.
#include "cpu/ladder.h"
#include "query.h"

namespace scratchnet {
namespace {

// scores -> probabilities, and lse; 0 and +inf for a query whose scores are all -inf
template <class T>
double softmax(const Query<T>& query, const Scratch<double>& p) {
  const auto [begin, end] = query.seen;
  double m = query.sink();
  for (int64_t j = begin; j < end; j++) {
    p[j] = query.score(j);
    if (p[j] > m || isnan(p[j])) m = p[j];
  }
  double sum = m == -INFINITY ? 0 : exp(query.sink() - m);
  for (int64_t j = begin; j < end; j++) sum += p[j] = m == -INFINITY ? 0 : exp(p[j] - m);
  for (int64_t j = begin; j < end; j++) p[j] = sum == 0 ? 0 : p[j] / sum;
  return sum == 0 ? INFINITY : m + log(sum);
}

template <class T>
void forward(const AttentionForward& to) {
  const Scratch<double> p(to.keys);
  for_each_query(to, [&](int64_t b, int64_t h, int64_t i) {
    const Query<T> query(to, b, h, i);
    to.lse[to.row(b, h, i)] = softmax(query, p);
    for (int64_t e = 0; e < to.value_size; e++) {
      double y = 0;
      for (int64_t j = query.seen.begin; j < query.seen.end; j++) y += query.kept(j) * p[j] * query.v(j, e);
      store1((T*)to.y + ((b * to.queries + i) * to.heads + h) * to.value_size + e, acc_t<T>(y));
    }
  });
}

template <class T>
void backward(const AttentionBackward& from) {
  const Gradients<T> gradients(from);
  const Scratch<double> p(from.keys), dp(from.keys);
  for_each_query(from, [&](int64_t b, int64_t h, int64_t i) {
    const Query<T> query(from, b, h, i);
    const double lse = softmax(query, p);
    double delta = 0;
    for (int64_t j = query.seen.begin; j < query.seen.end; j++) {
      dp[j] = 0;
      for (int64_t e = 0; e < from.value_size; e++) dp[j] += query.kept(j) * query.g(from.grad, e) * query.v(j, e);
      delta += p[j] * dp[j];
    }
    for (int64_t j = query.seen.begin; j < query.seen.end; j++) gradients.add(query, j, p[j], dp[j], delta);
    gradients.add_sink(query, exp(query.sink() - lse), delta);
  });
  gradients.round();
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
