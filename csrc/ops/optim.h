// One step of an optimizer over all parameters of a group: each tensor is read once and written once.
#pragma once
#include <stdint.h>

#include "ops/table.h"

namespace scratchnet {

// One parameter: its elements and those of its gradient and state lie in the same order.
struct Slot {
  DType dtype;  // of all its tensors
  int64_t numel;
  void* param;
  const void* grad;
  void* state[3];     // in the order of the operator's schema; null where an option is off
  double step;        // number of steps so far, including this one
  double grad_scale;  // the gradient is taken times this: 1, or less where its norm is clipped
};

struct SgdOptions {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
};
struct AdamOptions {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, amsgrad, maximize;
};
struct RmspropOptions {
  double lr, alpha, eps, weight_decay, momentum;
  bool centered, maximize;
};
struct AdagradOptions {
  double lr, lr_decay, eps, weight_decay;
  bool maximize;
};

struct OptimKernels {
  void (*sgd)(const Slot* slots, int64_t count, const SgdOptions& options);          // state: momentum_buffer
  void (*adam)(const Slot* slots, int64_t count, const AdamOptions& options);        // exp_avg, exp_avg_sq, max_exp_avg_sq
  void (*rmsprop)(const Slot* slots, int64_t count, const RmspropOptions& options);  // square_avg, momentum_buffer, grad_avg
  void (*adagrad)(const Slot* slots, int64_t count, const AdagradOptions& options);  // sum
  // exp_avg and exp_avg_sq as codes, and their scales: float32, one for each CODES numbers of the first, then of the second.
  // Float32 and 16-bit parameters.
  void (*adam8bit)(const Slot* slots, int64_t count, const AdamOptions& options);
};

constexpr int64_t CODES = 256;  // that share a scale

const OptimKernels& optim_kernels(int64_t rung);
extern const int64_t optim_rungs;

}  // namespace scratchnet
