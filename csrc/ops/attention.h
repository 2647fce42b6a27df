// Scaled dot-product attention: every query takes a mean of the values, weighted by how well it matches their keys.
//
//   s_ij = cap(scale q_i . k_j) + mask_ij     cap(x) = softcap tanh(x / softcap), or x
//   lse_i = log(sum_j exp(s_ij) + exp(sink))  over the keys j that query i sees; p_ij = exp(s_ij - lse_i)
//   y_i = sum_j z_ij p_ij v_j                 z_ij: 0 where dropout takes p_ij away, else 1 / (1 - dropout)
//
//   backward, g = dL/dy, delta_i = g_i . y_i (= sum_j p_ij dL/dp_ij):
//   dv_j = sum_i z_ij p_ij g_i                dmask_ij = p_ij (z_ij g_i . v_j - delta_i)
//   dx_ij = scale cap'(x_ij) dmask_ij         dq_i = sum_j dx_ij k_j,  dk_j = sum_i dx_ij q_i
//   dsink = -sum_i exp(sink - lse_i) delta_i
//
// A query that sees no key, or only scores of -inf, gives 0 and has no gradient, as in torch: its lse is saved as +inf.
#pragma once
#include <math.h>

#include "ops/dropout.h"
#include "ops/numbers.h"
#include "ops/table.h"

namespace scratchnet {

// A tensor (batch, head, row, column) in any layout: its strides in elements, 0 where it repeats.
struct Heads {
  const void* data;
  int64_t batch, head, row, column;

  SN_ANYWHERE int64_t offset(int64_t b, int64_t h, int64_t i) const { return b * batch + h * head + i * row; }
};

struct Span {  // [begin, end)
  int64_t begin, end;
};

// What forward and backward share.
struct Attention {
  int64_t batches, heads, groups;  // heads of q; of k and v, which heads / groups heads of q share
  int64_t queries, keys, size, value_size;
  Heads q, k, v;        // (batches, heads, queries, size), (batches, groups, keys, size), (batches, groups, keys, value_size)
  Heads mask;           // (batches, heads, queries, keys), of bytes (0: hidden) or of q's type; data null: none
  bool boolean;         // what mask holds
  const void* sinks;    // (heads) of q's type; null: none
  const int64_t* seed;  // one number, for dropout; null: none
  int64_t left, right;  // query i sees the keys from i - left to i + right
  double scale, softcap, dropout;  // softcap 0: none

  SN_ANYWHERE int64_t group(int64_t head) const { return head / (heads / groups); }
  SN_ANYWHERE Span visible(int64_t i) const { return {max(0, i - left), max(0, min(keys, i + right + 1))}; }
  SN_ANYWHERE int64_t row(int64_t b, int64_t h, int64_t i) const { return (b * heads + h) * queries + i; }  // of lse
};

struct AttentionForward : Attention {
  void* y;      // (batches, queries, heads, value_size)
  double* lse;  // (batches, heads, queries)
};

struct AttentionBackward : Attention {
  Heads grad;     // (batches, heads, queries, value_size)
  const void* y;  // as forward wrote it, and
  const double* lse;
  void *dq, *dk, *dv, *dmask, *dsinks;  // in order, in the shapes of the inputs; each may be null: not needed
  int64_t mask_sizes[4];                // of the mask before it was broadcast: 1 or the size above

  // Where the gradient of a score belongs in dmask.
  SN_ANYWHERE int64_t dmask_at(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const int64_t at[] = {b, h, i, j};
    int64_t offset = 0;
    for (int d = 0; d < 4; d++) offset = offset * mask_sizes[d] + (mask_sizes[d] == 1 ? 0 : at[d]);
    return offset;
  }
};

struct AttentionKernels {
  void (*forward)(const On&, const AttentionForward&);
  void (*backward)(const On&, const AttentionBackward&);
};

const AttentionKernels& attention_kernels(int64_t rung);

}  // namespace scratchnet
