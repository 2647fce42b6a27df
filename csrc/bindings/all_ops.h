// The operators of every primitive, as one list: X(gelu_forward) X(gelu_backward) ...
#pragma once
#include "batch_norm_ops.h"
#include "convolution_ops.h"
#include "cross_entropy_ops.h"
#include "gather_ops.h"
#include "gelu_ops.h"
#include "layer_norm_ops.h"
#include "linear_cross_entropy_ops.h"
#include "matmul_ops.h"
#include "pool2d_ops.h"
#include "recurrence_ops.h"

#define SN_ALL_OPS(X) \
  SN_MATMUL_OPS(X) SN_CONVOLUTION_OPS(X) SN_RECURRENCE_OPS(X) SN_CROSS_ENTROPY_OPS(X) SN_LINEAR_CROSS_ENTROPY_OPS(X) \
  SN_LINEAR_CROSS_ENTROPY_HOST_OPS(X) SN_LAYER_NORM_OPS(X) SN_BATCH_NORM_OPS(X) SN_GELU_OPS(X) SN_GATHER_OPS(X) SN_POOL2D_OPS(X)
