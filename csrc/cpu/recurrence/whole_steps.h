// All sequences of a step at a time, one step after the other.
#pragma once
#include "cpu/memory.h"
#include "steps.h"

namespace scratchnet {
namespace {

// A matrix (k, n) whose number (p, j) lies at data[j * column + p * row]. A rung says how it multiplies by it.
template <class A>
struct Weights {
  const A* data;
  int64_t k, n, column, row;

  void multiply(int64_t rows, const A* x, A* y, bool add) const;  // y (rows, n) = [y +] x b for x (rows, k)
};

// Likewise, how numbers are added to others,
template <class A>
void add(A* to, const A* from, int64_t count);

// one step of one sequence: u (G H) becomes the activations; m is h', or what is projected to it;
template <Mode mode, class A>
void cell(int64_t H, A* u, const A* v, const A* bias, A* inner, A* c, const A* h, A* m);

// and the same backwards: du and dv from dm, the gradient of m; dh keeps what a GRU hands on beside W_hh^T dv.
template <Mode mode, class A>
void cell_backward(int64_t H, const A* a, const A* inner, const A* c, const A* h, const A* dm, A* dh, A* dc, A* du, A* dv,
                   A* m);

template <Mode mode, class A>
void forward(const Layer& layer, const RecurrenceForward& to) {
  const int64_t H = layer.hidden, P = layer.state, G = layer.gates();
  const Weights<A> w_hh{(const A*)layer.w_hh, P, G, P, 1}, w_hr{(const A*)layer.w_hr, H, P, H, 1};
  const Scratch<A> zeros(layer.b_hh ? 0 : G);
  fill_zeros(zeros);
  const A* bias = layer.b_hh ? (const A*)layer.b_hh : zeros.data();
  const Scratch<A> products(layer.batch, G), states(layer.batch, H);
  A *const v = products.data(), *const m = states.data();
  for_each_step(layer, layer.reverse, [&](int64_t, int64_t row, int64_t n) {
    A *h = (A*)to.h, *c = (A*)to.c, *to_m = layer.w_hr ? m : h;
    w_hh.multiply(n, h, v, false);
    for (int64_t b = 0; b < n; b++)
      cell<mode>(H, (A*)to.gates + (row + b) * G, v + b * G, bias, (A*)to.inner + (row + b) * H, c + b * H, h + b * P,
                 to_m + b * H);
    if (layer.w_hr) w_hr.multiply(n, m, h, false);
    copy((A*)to.y + row * P, h, n * P);
  });
}

template <Mode mode, class A>
void backward(const Layer& layer, const RecurrenceBackward& to) {
  const int64_t H = layer.hidden, P = layer.state, G = layer.gates();
  const Weights<A> w_hh{(const A*)layer.w_hh, G, P, 1, P}, w_hr{(const A*)layer.w_hr, P, H, 1, H};
  const Scratch<A> states(layer.batch, H);
  A* const projected = states.data();
  for_each_step(layer, !layer.reverse, [&](int64_t t, int64_t first, int64_t n) {
    A *dh = (A*)to.dh, *dc = (A*)to.dc;
    add(dh, (const A*)to.grad + first * P, n * P);
    if (layer.w_hr) copy((A*)to.dy + first * P, dh, n * P), w_hr.multiply(n, dh, projected, false);
    const A* dm = layer.w_hr ? projected : dh;
    for (int64_t b = 0; b < n; b++) {
      const A *h = state_before(layer, (const A*)to.y, (const A*)to.h0, P, t, first, b), *c = nullptr;
      if (mode == Mode::lstm) c = state_before(layer, (const A*)to.inner, (const A*)to.c0, H, t, first, b);
      const int64_t at = first + b;
      copy((A*)to.before + at * P, h, P);
      cell_backward<mode>(H, (const A*)to.activations + at * G, (const A*)to.inner + at * H, c, h, dm + b * H, dh + b * P,
                          dc + b * H, (A*)to.du + at * G, (A*)to.dv + at * G, to.m ? (A*)to.m + at * H : nullptr);
    }
    w_hh.multiply(n, (const A*)to.dv + first * G, dh, mode == Mode::gru);
  });
}

}  // namespace
}  // namespace scratchnet
