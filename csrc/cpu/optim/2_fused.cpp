// Optimizer steps, rung 2: whole registers at a time, all parameters split over the threads together.
//
//   reads the parameter, its gradient and k state tensors, writes all but the gradient: (2 k + 3) tensors, for AdamW in float32
//   28 bytes per element
//
// A model has many small tensors beside a few large ones: the threads share the elements of all of them, in chunks that begin
// and end at the same elements however many threads there are.
#include "codes.h"
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "rules.h"

namespace scratchnet {
namespace {

constexpr int64_t CHUNK = 4 * CODES;  // elements; a thread takes whole chunks

// K registers of each tensor: all loads, then all arithmetic, then all stores.
template <int K, class T, class Rule, class Get, class Put>
SN_INLINE void update_registers(const Slot& slot, int64_t i, const Rule& rule, Get get, Put put) {
  constexpr int64_t N = lanes<acc_t<T>>;
  vec<acc_t<T>> param[K], grad[K], state[K][3] = {};
#pragma GCC unroll 2
  for (int j = 0; j < K; j++) {
    param[j] = get((const T*)slot.param + i + j * N);
    grad[j] = get((const T*)slot.grad + i + j * N) * acc_t<T>(slot.grad_scale);
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

// Moments in 8 bits: decoded into cache, updated there, and encoded when the block's largest are known.
template <class T>
void update_codes(const Slot slot, const Adam<float> rule, int64_t begin, int64_t end) {
  for (; begin < end; begin += CODES) {
    T* const param = (T*)slot.param + begin;
    const T* const grad = (const T*)slot.grad + begin;
    const int64_t n = min(CODES, end - begin);
    Block block(slot, begin, n);
    map<T>(0, n, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      vec<float> p = get((const T*)param + i), state[3] = {get((const float*)block.m + i), get((const float*)block.v + i)};
      rule(p, get(grad + i) * float(slot.grad_scale), state);
      put(param + i, p), put(block.m + i, state[0]), put(block.v + i, state[1]);
    });
    block.write();
  }
}
template <>
void update_codes<double>(const Slot, const Adam<float>, int64_t, int64_t) {}

int64_t chunks_of(const Slot& slot) { return ceil_div(slot.numel, CHUNK); }

// f(slot, from, to) for the elements of all slots, on all threads.
template <class F>
void each_chunk(const Slot* slots, int64_t count, const F& f) {
  int64_t elements = 0, chunks = 0;
  for (int64_t s = 0; s < count; s++) elements += slots[s].numel, chunks += chunks_of(slots[s]);
  const int64_t grain = elements <= GRAIN ? chunks : GRAIN / CHUNK;
  parallel_for(0, chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t s = 0, first = 0; s < count && first < end; first += chunks_of(slots[s++])) {
      const Slot& slot = slots[s];
      const int64_t from = max(0, begin - first) * CHUNK, to = (end - first) * CHUNK;
      if (from >= slot.numel) continue;
      f(slot, from, min(to, slot.numel));
    }
  });
}

template <template <class> class Rule, class Options>
void step(const Slot* slots, int64_t count, const Options& options) {
  each_chunk(slots, count, [&](const Slot& slot, int64_t from, int64_t to) {
    SN_FLOATS(slot.dtype, update<T>(slot, Rule<acc_t<T>>(options, slot.step), from, to));
  });
}

void adam8bit(const Slot* slots, int64_t count, const AdamOptions& options) {
  each_chunk(slots, count, [&](const Slot& slot, int64_t from, int64_t to) {
    SN_FLOATS(slot.dtype, update_codes<T>(slot, Adam<float>(options, slot.step), from, to));
  });
}

}  // namespace

SN_DEFINE_RUNG(OptimKernels, optim_2) = {step<Sgd, SgdOptions>, step<Adam, AdamOptions>, step<Rmsprop, RmspropOptions>,
                                         step<Adagrad, AdagradOptions>, adam8bit};

}  // namespace scratchnet
