// BatchNorm: every channel by the statistics of its numbers, over the batch and all positions, then scaled and shifted.
//
//   h = (x - mean) rstd,  rstd = 1 / sqrt(var + eps),   y = h weight + bias,   mean and the biased var of a channel's numbers
//   backward   dx = weight rstd (grad - mean(grad) - h mean(grad h)),   dweight = sum of grad h,   dbias = sum of grad
//
// With given statistics (the running ones of training) mean and var are constants: dx = weight rstd grad.
#pragma once
#include "ops/table.h"

namespace scratchnet {

// All tensors are contiguous: x, y, grad and dx (images, channels, positions); the others (channels); mean and var double for
// double tensors, else float.
struct BatchNormForward {
  const void *x, *weight, *bias;           // weight and bias may be null
  const void *running_mean, *running_var;  // of x's type; null: the statistics are those of x
  void *y, *mean, *var;                    // the statistics that were used
  int64_t images, channels, positions;
  double eps;
};

struct BatchNormBackward {
  const void *grad, *x, *weight, *mean, *var;  // weight may be null
  bool training;                               // mean and var are those of x
  void *dx, *dweight, *dbias;                  // each may be null: not needed
  int64_t images, channels, positions;
  double eps;
};

struct BatchNormKernels {
  void (*forward)(const On&, const BatchNormForward&);
  void (*backward)(const On&, const BatchNormBackward&);
};

const BatchNormKernels& batch_norm_kernels(int64_t rung);

}  // namespace scratchnet
