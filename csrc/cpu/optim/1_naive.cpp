// Optimizer steps, rung 1: one parameter after another, one element after another.
//
//   reads the parameter, its gradient and k state tensors, writes all but the gradient: (2 k + 3) tensors, for AdamW in float32
//   28 bytes per element
#include "cpu/ladder.h"
#include "rules.h"

namespace scratchnet {
namespace {

template <class T, class Rule>
void update(const Slot& slot, const Rule& rule) {
  T* param = (T*)slot.param;
  for (int64_t i = 0; i < slot.numel; i++) {
    acc_t<T> p = load1(param + i), state[3] = {};
    for (int k = 0; k < 3; k++)
      if (rule.has[k]) state[k] = load1((T*)slot.state[k] + i);
    rule(p, load1((const T*)slot.grad + i), state);
    store1(param + i, p);
    for (int k = 0; k < 3; k++)
      if (rule.has[k]) store1((T*)slot.state[k] + i, state[k]);
  }
}

template <template <class> class Rule, class Options>
void step(const Slot* slots, int64_t count, const Options& options) {
  for (int64_t s = 0; s < count; s++) SN_FLOATS(slots[s].dtype, update<T>(slots[s], Rule<acc_t<T>>(options, slots[s].step)));
}

}  // namespace

SN_DEFINE_RUNG(OptimKernels, optim_1) = {step<Sgd, SgdOptions>, step<Adam, AdamOptions>, step<Rmsprop, RmspropOptions>,
                                         step<Adagrad, AdagradOptions>};

}  // namespace scratchnet
