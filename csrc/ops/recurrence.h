// One layer of an RNN, LSTM or GRU in one direction, over packed sequences: the rows of step 0, one for each sequence, then
// those of step 1, ...; the longest sequences come first, and batch_sizes says how many have step t. With u = W_ih x + b_ih,
// which is one product for all steps and given, v = W_hh h + b_hh for the state h of the step before, and s the sigmoid:
//
//   RNN    h' = tanh(u + v), or relu
//   LSTM   i, f, o = s(u + v), g = tanh(u + v);   c' = f c + i g;   m = o tanh(c');   h' = W_hr m, or m
//   GRU    r, z = s(u + v),  n = tanh(u_n + r v_n);   h' = n + z (h - n)
//
// The backward walks the other way; scratchnet/oracle/recurrence.py derives it.
#pragma once
#include "ops/table.h"

namespace scratchnet {

enum class Mode : int { rnn_tanh, rnn_relu, lstm, gru };  // scratchnet/ops/op.py: RECURRENCES

struct Layer {
  Mode mode;
  bool reverse;                  // from the last step to the first
  int64_t batch, hidden, state;  // B, H, and P, the size of h: H without a projection
  int64_t steps;
  const int64_t* batch_sizes;      // (steps): rows of each step
  const void *w_hh, *b_hh, *w_hr;  // (G H, P), (G H) or null, (P, H) or null

  int64_t gates() const { return (mode == Mode::lstm ? 4 : mode == Mode::gru ? 3 : 1) * hidden; }  // G H
};

// All tensors lie in order and are float32 or float64; those with N rows are packed.
struct RecurrenceForward {
  void* gates;  // (N, G H): u, which becomes the activations i f g o, r z n, or h'
  void* inner;  // (N, H): c' of an LSTM, v_n of a GRU
  void* y;      // (N, P)
  void *h, *c;  // (B, P), (B, H): the state, the first one to start with, at the end the last one
};
struct RecurrenceBackward {
  const void *grad, *y, *activations, *inner, *h0, *c0;
  void *dh, *dc;  // (B, P), (B, H): gradients of the state, of the last one to start with, at the end of the first one
  void *du, *dv;  // (N, G H): the same memory for both, except in a GRU
  void* before;   // (N, P): the state that each step began with
  void *m, *dy;   // (N, H), (N, P): m and the gradient of h'; null without a projection
};

struct RecurrenceKernels {
  void (*forward)(const On&, const Layer&, const RecurrenceForward&);
  void (*backward)(const On&, const Layer&, const RecurrenceBackward&);
};

const RecurrenceKernels& recurrence_kernels(int64_t rung);
extern const int64_t recurrence_rungs;

}  // namespace scratchnet
