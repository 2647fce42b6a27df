// Optimizer steps, rung 1: one parameter after another, one element after another.
//
//   reads the parameter, its gradient and k state tensors, writes all but the gradient: (2 k + 3) tensors, for AdamW in float32
//   28 bytes per element
#include "codes.h"
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
    rule(p, load1((const T*)slot.grad + i) * acc_t<T>(slot.grad_scale), state);
    store1(param + i, p);
    for (int k = 0; k < 3; k++)
      if (rule.has[k]) store1((T*)slot.state[k] + i, state[k]);
  }
}

template <template <class> class Rule, class Options>
void step(const Slot* slots, int64_t count, const Options& options) {
  for (int64_t s = 0; s < count; s++) SN_FLOATS(slots[s].dtype, update<T>(slots[s], Rule<acc_t<T>>(options, slots[s].step)));
}

// Moments in 8 bits: a block of them at a time, because its scale is known when all of it is.
template <class T>
void update_codes(const Slot& slot, const Adam<float>& rule) {
  T* param = (T*)slot.param;
  for (int64_t begin = 0; begin < slot.numel; begin += CODES) {
    const int64_t n = min(CODES, slot.numel - begin);
    Block block(slot, begin, n);
    for (int64_t i = 0; i < n; i++) {
      float p = load1(param + begin + i), state[3] = {block.m[i], block.v[i]};
      rule(p, load1((const T*)slot.grad + begin + i) * float(slot.grad_scale), state);
      store1(param + begin + i, p);
      block.m[i] = state[0], block.v[i] = state[1];
    }
    block.write();
  }
}
template <>
void update_codes<double>(const Slot&, const Adam<float>&) {}

void adam8bit(const Slot* slots, int64_t count, const AdamOptions& options) {
  for (int64_t s = 0; s < count; s++) SN_FLOATS(slots[s].dtype, update_codes<T>(slots[s], Adam<float>(options, slots[s].step)));
}

}  // namespace

SN_DEFINE_RUNG(OptimKernels, optim_1) = {step<Sgd, SgdOptions>, step<Adam, AdamOptions>, step<Rmsprop, RmspropOptions>,
                                         step<Adagrad, AdagradOptions>, adam8bit};

}  // namespace scratchnet
