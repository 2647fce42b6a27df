// Softmax cross-entropy and its family.
//
// With l = log-softmax(x) of a row, p = exp(l), class weights w and smoothing e, the loss of a row is -sum_c a_c l_c, where
//   class index t:            a_c = w_c ((1 - e) [c = t] + e / C); a row whose t is ignore_index counts nothing
//   class probabilities q:    a_c = w_c ((1 - e) q_c + e / C)
// and for a gradient g of the row's loss  dx_c = g (p_c sum(a) - a_c).
#pragma once
#include <math.h>

#include "ops/table.h"

namespace scratchnet {

// What a call of cross_entropy has beside the logits x (rows, classes, positions). All tensors are contiguous.
struct Targets {
  int64_t rows, classes, positions;
  const int64_t* index;       // (rows, positions), each ignore_index or in [0, classes); or null
  const void* probabilities;  // (rows, classes, positions) of x's dtype; or null
  const void* weight;         // (classes,) of x's dtype; or null: all 1
  int64_t ignore_index;
  double smoothing;

  SN_ANYWHERE double rest() const { return 1 - smoothing; }
  SN_ANYWHERE double uniform() const { return classes ? smoothing / classes : 0; }
};

// A sum of many terms as if rounded once: what an addition loses is summed beside it (Neumaier).
struct Sum {
  double sum = 0, lost = 0;

  SN_ANYWHERE void add(double x) {
    const double next = sum + x;
    lost += fabs(sum) < fabs(x) ? x - next + sum : sum - next + x;
    sum = next;
  }
  SN_ANYWHERE double total() const { return isfinite(lost) ? sum + lost : sum; }  // inf - inf is lost of an infinite sum
};

// Sums over all rows: of their losses, and of their weights w_t (of 1 with probabilities), the divisor of the mean.
struct Totals {
  Sum loss, weight;

  SN_ANYWHERE void add(const Totals& more) {
    loss.add(more.loss.total());
    weight.add(more.weight.total());
  }
  // The result: over no weight at all torch's mean is 0 / 0, even if label smoothing leaves a sum to divide.
  SN_ANYWHERE double value(bool mean) const {
    const double divisor = mean ? weight.total() : 1;
    return divisor == 0 ? NAN : loss.total() / divisor;
  }
};

// lse = log(sum_c exp(x_c)) of each row is saved as a double whatever T is: exp(x - lse) needs it to the digits of x's
// fraction, even where x is 10000, and a float has lost those. A kernel may also compute it again.
struct CrossEntropyKernels {
  // Adds to totals, which lives on the tensors' device; loss (rows, positions) of x's dtype may be null.
  void (*cross_entropy_forward)(const On&, Targets, const void* x, void* loss, double* lse, Totals*);
  // loss has the dtype of On, or is null; total_weight has the type that is computed in
  void (*cross_entropy_reduce)(const On&, const Totals*, bool mean, void* loss, void* total_weight);
  // grad (rows, positions), or a single number for all rows; divided by total_weight unless that is null; dx may be x
  void (*cross_entropy_backward)(const On&, Targets, const void* grad, bool single, const void* total_weight, const void* x,
                                 const double* lse, void* dx);
  // x (outer, classes, inner), reduced over classes
  void (*softmax_forward)(const On&, const void* x, void* y, int64_t outer, int64_t classes, int64_t inner);
  void (*softmax_backward)(const On&, const void* grad, const void* y, void* dx, int64_t outer, int64_t classes, int64_t inner);
  void (*log_softmax_forward)(const On&, const void* x, void* y, int64_t outer, int64_t classes, int64_t inner);
  void (*log_softmax_backward)(const On&, const void* grad, const void* y, void* dx, int64_t outer, int64_t classes,
                               int64_t inner);
  void (*logsumexp_forward)(const On&, const void* x, void* y, int64_t outer, int64_t classes, int64_t inner);
  // y is computed again: rounded to 16 bits it has lost the digits that exp(x - y) needs
  void (*logsumexp_backward)(const On&, const void* grad, const void* x, void* dx, int64_t outer, int64_t classes,
                             int64_t inner);
};

const CrossEntropyKernels& cross_entropy_kernels(int64_t rung);
extern const int64_t cross_entropy_rungs;

}  // namespace scratchnet
