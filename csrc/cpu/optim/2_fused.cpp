// Optimizer steps, rung 2: whole registers at a time, all parameters split over the threads together.
//
//   reads the parameter, its gradient and k state tensors, writes all but the gradient: (2 k + 3) tensors, for AdamW in float32
//   28 bytes per element
//
// A model has many small tensors beside a few large ones: the threads share the elements of all of them, in chunks that begin
// and end at the same elements however many threads there are.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "rules.h"

namespace scratchnet {
namespace {

constexpr int64_t CHUNK = 1024;  // elements; a thread takes whole chunks

// K registers of each tensor: all loads, then all arithmetic, then all stores.
template <int K, class T, class Rule, class Get, class Put>
SN_INLINE void update_registers(const Slot& slot, int64_t i, const Rule& rule, Get get, Put put) {
  constexpr int64_t N = lanes<acc_t<T>>;
  vec<acc_t<T>> param[K], grad[K], state[K][3] = {};
#pragma GCC unroll 2
  for (int j = 0; j < K; j++) {
    param[j] = get((const T*)slot.param + i + j * N), grad[j] = get((const T*)slot.grad + i + j * N);
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++)
      if (rule.has[k]) state[j][k] = get((const T*)slot.state[k] + i + j * N);
  }
#pragma GCC unroll 2
  for (int j = 0; j < K; j++) rule(param[j], grad[j], state[j]);
#pragma GCC unroll 2
  for (int j = 0; j < K; j++) {
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++)
      if (rule.has[k]) put((T*)slot.state[k] + i + j * N, state[j][k]);
    put((T*)slot.param + i + j * N, param[j]);
  }
}

template <class T, class Rule>
void update(const Slot slot, const Rule rule, int64_t begin, int64_t end) {  // by value: what is stored cannot change them
  constexpr int64_t PAIR = 2 * lanes<acc_t<T>>;
  int64_t i = begin;
  for (; i + PAIR <= end; i += PAIR)
    update_registers<2, T>(
        slot, i, rule, [](const T* p) SN_LAMBDA_INLINE { return load(p); }, [](T* p, auto v) SN_LAMBDA_INLINE { store(p, v); });
  map<T>(i, end, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { update_registers<1, T>(slot, j, rule, get, put); });
}

int64_t chunks_of(const Slot& slot) { return ceil_div(slot.numel, CHUNK); }

template <template <class> class Rule, class Options>
void step(const Slot* slots, int64_t count, const Options& options) {
  int64_t elements = 0, chunks = 0;
  for (int64_t s = 0; s < count; s++) elements += slots[s].numel, chunks += chunks_of(slots[s]);
  const int64_t grain = elements <= GRAIN ? chunks : GRAIN / CHUNK;
  parallel_for(0, chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t s = 0, first = 0; s < count && first < end; first += chunks_of(slots[s++])) {
      const Slot& slot = slots[s];
      const int64_t from = max(0, begin - first) * CHUNK, to = (end - first) * CHUNK;
      if (from >= slot.numel) continue;
      SN_FLOATS(slot.dtype, update<T>(slot, Rule<acc_t<T>>(options, slot.step), from, min(to, slot.numel)));
    }
  });
}

}  // namespace

SN_DEFINE_RUNG(OptimKernels, optim_2) = {step<Sgd, SgdOptions>, step<Adam, AdamOptions>, step<Rmsprop, RmspropOptions>,
                                         step<Adagrad, AdagradOptions>};

}  // namespace scratchnet
