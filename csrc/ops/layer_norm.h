// LayerNorm and RMSNorm: every row by its own statistics, then scaled and shifted.
//
//   LayerNorm  h = (x - mean) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps),   y = h weight + bias
//   RMSNorm    h = x rstd,           rstd = 1 / sqrt(mean(x^2) + eps),            y = h weight
//   backward   a = grad weight:      dx = rstd (a - mean(a) - h mean(a h)), RMSNorm without mean(a)
//                                    dweight = sum of grad h over the rows,  dbias = sum of grad over the rows
#pragma once
#include "ops/table.h"

namespace scratchnet {

// All tensors are contiguous: x, residual, total, y, grad, grad_total and dx (rows, columns); weight, bias, dweight and dbias
// (columns); mean and rstd (rows), double for double tensors, else float.
struct NormForward {
  const void *x, *residual;       // residual null: x is normalised; else total = x + residual is written and normalised
  const void *weight, *bias;      // each may be null
  void *total, *y, *mean, *rstd;  // mean null: RMSNorm
  int64_t rows, columns;
  double eps;
};

struct NormBackward {
  const void *grad, *grad_total;  // grad_total, the gradient of the sum, may be null
  const void *x, *mean, *rstd;    // x: what was normalised; mean null: RMSNorm
  const void* weight;             // may be null
  void *dx, *dweight, *dbias;     // each may be null: not needed
  int64_t rows, columns;
};

struct LayerNormKernels {
  void (*forward)(const On&, const NormForward&);
  void (*backward)(const On&, const NormBackward&);
};

const LayerNormKernels& layer_norm_kernels(int64_t rung);

}  // namespace scratchnet
