// torch.ops.scratchnet.sgd_step, adam_step, rmsprop_step, adagrad_step, adam8bit_step: one step over the parameters of a group,
// in place.
//
// Schemas are in scratchnet/optim/compiled.py. Each returns the positions of the parameters that it left alone, for the
// formulas in Python: those whose tensors differ in dtype or in the order of their elements, or overlap.
#include <algorithm>
#include <map>

#include "cpu_tensors.h"
#include "ops/optim.h"

namespace scratchnet {
namespace {

using Tensors = std::vector<Tensor>;
using Left = std::vector<int64_t>;

// Whether the elements fill memory without gaps, in whichever order.
bool is_dense(const Tensor& t) {
  if (t.is_contiguous()) return true;
  std::vector<std::pair<int64_t, int64_t>> axes;  // (stride, size)
  for (int64_t i = 0; i < t.dim(); i++)
    if (t.size(i) != 1) axes.push_back({t.stride(i), t.size(i)});
  std::sort(axes.begin(), axes.end());
  int64_t wanted = 1;
  for (const auto& [stride, size] : axes) {
    if (stride != wanted) return false;
    wanted *= size;
  }
  return true;
}

bool same_order(const Tensor& a, const Tensor& b) {
  if (a.is_contiguous() && b.is_contiguous()) return true;
  for (int64_t i = 0; i < a.dim(); i++)
    if (a.size(i) != 1 && a.stride(i) != b.stride(i)) return false;
  return true;
}

// The parameters that the kernels can update, checked before any is.
struct Step {
  std::vector<Slot> slots;
  Left left;
  std::vector<const Tensor*> counters;  // the step counters of the slots

  // coded: the states are codes, one byte each, and the last of them their scales.
  Step(const char* op, int64_t rung, const Tensors& params, const Tensors& grads, double grad_scale, const Tensors& steps,
       bool counted, std::initializer_list<std::pair<const Tensors*, bool>> states, bool coded = false) {
    const int64_t count = params.size();
    const auto that = [op](bool condition, const char* problem) {
      if (!condition) [[unlikely]]
        throw std::runtime_error(std::string(op) + "(): " + problem);
    };
    that(rung >= 1 && rung <= optim_rungs, "there is no such rung");
    that((int64_t)grads.size() == count, "params and grads must have the same length");
    that((int64_t)steps.size() == (counted ? count : 0), "steps must have the length of params");
    for (const auto& [state, used] : states)
      that((int64_t)state->size() == (used ? count : 0), "a state must have the length of params, or be empty if not used");
    for (const Tensor& t : steps)
      that(t.is_cpu() && t.numel() == 1 && (t.scalar_type() == ScalarType::Float || t.scalar_type() == ScalarType::Double),
           "a step count must be one float32 or float64 number on the CPU");

    slots.reserve(count), counters.reserve(count);
    for (int64_t i = 0; i < count; i++) {
      const Tensor& param = params[i];
      that(param.is_cpu(), "params must be on the CPU");
      bool fits = is_float(param) && is_dense(param) && !(coded && param.scalar_type() == ScalarType::Double);
      const auto pointer = [&](const Tensor& t, ScalarType dtype) {
        that(t.is_cpu() && all_axes(t) == all_axes(param), "grads and states must have the shape and device of params");
        fits = fits && t.scalar_type() == dtype && same_order(param, t);
        return fits ? t.mutable_data_ptr() : nullptr;
      };
      Slot slot = {};
      slot.grad_scale = grad_scale, slot.grad = pointer(grads[i], param.scalar_type());
      int k = 0;
      for (const auto& [state, used] : states) {
        if (coded && k == 2) {
          const Tensor& scales = (*state)[i];
          that(scales.is_cpu() && scales.scalar_type() == ScalarType::Float && scales.is_contiguous() &&
                   scales.numel() == 2 * ceil_div(param.numel(), CODES),
               "scales must be two float32 numbers for each block");
          slot.state[k++] = scales.mutable_data_ptr();
        } else {
          slot.state[k++] = used ? pointer((*state)[i], coded ? ScalarType::Byte : param.scalar_type()) : nullptr;
        }
      }
      const char* start = (const char*)param.const_data_ptr();
      if (!fits || !claim(start, start + param.numel() * dtype_size(dtype_of(param)))) {
        left.push_back(i);
        continue;
      }
      slot.dtype = dtype_of(param), slot.numel = param.numel(), slot.param = param.mutable_data_ptr();
      slots.push_back(slot);
      if (counted) counters.push_back(&steps[i]);
    }
    for (size_t s = 0; s < counters.size(); s++) slots[s].step = count_up(*counters[s]);
  }

 private:
  std::map<const char*, const char*> taken;  // memory of the parameters so far: start, end

  // Threads share the work: where two parameters share memory, the second one is left to the formula.
  bool claim(const char* start, const char* end) {
    if (start == end) return true;
    const auto next = taken.upper_bound(start);
    if (next != taken.end() && next->first < end) return false;
    if (next != taken.begin() && std::prev(next)->second > start) return false;
    taken.emplace_hint(next, start, end);
    return true;
  }

  static double count_up(const Tensor& step) {
    if (step.scalar_type() == ScalarType::Double) return ++*(double*)step.mutable_data_ptr();
    return ++*(float*)step.mutable_data_ptr();
  }
};

Left sgd_step(Tensors params, Tensors grads, Tensors momentum_buffers, double lr, double momentum, double dampening,
              double weight_decay, bool nesterov, bool maximize, double grad_scale, int64_t rung) {
  const Step step("sgd_step", rung, params, grads, grad_scale, {}, false, {{&momentum_buffers, momentum != 0}});
  optim_kernels(rung).sgd(step.slots.data(), step.slots.size(), {lr, momentum, dampening, weight_decay, nesterov, maximize});
  return step.left;
}

Left adam_step(Tensors params, Tensors grads, Tensors steps, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors max_exp_avg_sqs,
               double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled, bool amsgrad,
               bool maximize, double grad_scale, int64_t rung) {
  const Step step("adam_step", rung, params, grads, grad_scale, steps, true,
                  {{&exp_avgs, true}, {&exp_avg_sqs, true}, {&max_exp_avg_sqs, amsgrad}});
  const AdamOptions options = {lr, beta1, beta2, eps, weight_decay, decoupled, amsgrad, maximize};
  optim_kernels(rung).adam(step.slots.data(), step.slots.size(), options);
  return step.left;
}

Left rmsprop_step(Tensors params, Tensors grads, Tensors steps, Tensors square_avgs, Tensors momentum_buffers,
                  Tensors grad_avgs, double lr, double alpha, double eps, double weight_decay, double momentum, bool centered,
                  bool maximize, double grad_scale, int64_t rung) {
  const Step step("rmsprop_step", rung, params, grads, grad_scale, steps, true,
                  {{&square_avgs, true}, {&momentum_buffers, momentum > 0}, {&grad_avgs, centered}});
  const RmspropOptions options = {lr, alpha, eps, weight_decay, momentum, centered, maximize};
  optim_kernels(rung).rmsprop(step.slots.data(), step.slots.size(), options);
  return step.left;
}

Left adagrad_step(Tensors params, Tensors grads, Tensors steps, Tensors sums, double lr, double lr_decay, double eps,
                  double weight_decay, bool maximize, double grad_scale, int64_t rung) {
  const Step step("adagrad_step", rung, params, grads, grad_scale, steps, true, {{&sums, true}});
  optim_kernels(rung).adagrad(step.slots.data(), step.slots.size(), {lr, lr_decay, eps, weight_decay, maximize});
  return step.left;
}

Left adam8bit_step(Tensors params, Tensors grads, Tensors steps, Tensors exp_avgs, Tensors exp_avg_sqs, Tensors scales,
                   double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled, bool maximize,
                   double grad_scale, int64_t rung) {
  const Step step("adam8bit_step", rung, params, grads, grad_scale, steps, true,
                  {{&exp_avgs, true}, {&exp_avg_sqs, true}, {&scales, true}}, true);
  const AdamOptions options = {lr, beta1, beta2, eps, weight_decay, decoupled, false, maximize};
  optim_kernels(rung).adam8bit(step.slots.data(), step.slots.size(), options);
  return step.left;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(scratchnet, CPU, m) {
  m.impl("sgd_step", TORCH_BOX(&sgd_step));
  m.impl("adam_step", TORCH_BOX(&adam_step));
  m.impl("rmsprop_step", TORCH_BOX(&rmsprop_step));
  m.impl("adagrad_step", TORCH_BOX(&adagrad_step));
  m.impl("adam8bit_step", TORCH_BOX(&adam8bit_step));
}

}  // namespace scratchnet
