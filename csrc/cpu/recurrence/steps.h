// The steps of a recurrent layer over packed sequences: which rows belong to a step, and which state it begins with.
#pragma once
#include <string.h>

#include "ops/recurrence.h"

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

// f(step, its first row, its rows) for every step in order.
template <class F>
void for_each_step(const Layer& layer, bool reverse, const F& f) {
  int64_t row = 0;
  if (!reverse) {
    for (int64_t t = 0; t < layer.steps; row += layer.batch_sizes[t++]) f(t, row, layer.batch_sizes[t]);
  } else {
    for (int64_t t = 0; t < layer.steps; t++) row += layer.batch_sizes[t];
    for (int64_t t = layer.steps - 1; t >= 0; t--) f(t, row -= layer.batch_sizes[t], layer.batch_sizes[t]);
  }
}

// The state (size) that sequence b begins step t with, from those after each step (N, size) and the first ones (B, size).
template <class A>
const A* state_before(const Layer& layer, const A* after, const A* first, int64_t size, int64_t t, int64_t row, int64_t b) {
  const int64_t previous = layer.reverse ? t + 1 : t - 1;
  if (previous < 0 || previous >= layer.steps || b >= layer.batch_sizes[previous]) return first + b * size;
  const int64_t previous_row = layer.reverse ? row + layer.batch_sizes[t] : row - layer.batch_sizes[previous];
  return after + (previous_row + b) * size;
}

template <class A>
void copy(A* to, const A* from, int64_t count) {
  if (count) memcpy(to, from, count * sizeof(A));  // of nothing, a pointer may be null
}

}  // namespace
}  // namespace scratchnet

// Picks the mode at compile time.
#define SN_MODES(function, A, layer, to)                                \
  switch (layer.mode) {                                                 \
    case Mode::rnn_tanh: return function<Mode::rnn_tanh, A>(layer, to); \
    case Mode::rnn_relu: return function<Mode::rnn_relu, A>(layer, to); \
    case Mode::lstm: return function<Mode::lstm, A>(layer, to);         \
    case Mode::gru: return function<Mode::gru, A>(layer, to);           \
  }
