// Recurrent layers, rung 3: the recurrent weights are packed once and used in every step; each thread walks through all steps
// with sequences of its own, so that no step waits for another thread.
//
//   forward   2 G H P flops per row; reads gates, writes gates, inner, y and, in cache, v and the state
//   backward  the same flops for dh = W_hh^T dv; the weights' gradients are products over all rows, left to the caller
//
// A row's sums are formed in the same order whichever rows are beside it: the same bits for any number of threads.
#include "cells.h"
#include "cpu/ladder.h"
#include "cpu/matmul/pack.h"
#include "cpu/matmul/tile.h"
#include "cpu/memory.h"
#include "cpu/parallel.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK = 48;           // sequences that walk together: their v stays in L2
constexpr int64_t STEP_WORK = 1 << 19;  // multiply-adds that are worth a thread

// A matrix b (k, n) in the order in which the tile reads it, made for many products with few rows.
template <class A>
struct PackedMatrix {
  const int64_t k, n, depth, width;  // width: n, rounded up to whole panels
  const Scratch<A> packed;           // (k, width)

  PackedMatrix(const A* b, int64_t row, int64_t column, int64_t k, int64_t n)
      : k(k), n(n), depth(piece(k, DEPTH, 1)), width(round_up(n, COLUMNS<A>)), packed(k, width) {
    parallel_for(0, ceil_div(n, COLUMNS<A>), 1 + 2 * GRAIN / (COLUMNS<A> * k + 1), [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; panel++)
        for (int64_t p = 0, j = panel * COLUMNS<A>; p < k; p += depth)
          pack<COLUMNS<A>>(b + p * row + j * column, column, row, min(COLUMNS<A>, n - j), min(depth, k - p), at(p, j));
    });
  }
  // The panel whose first column is j, of the terms from p on.
  A* at(int64_t p, int64_t j) const {
    const int64_t terms = min(depth, k - p);
    return packed.at(p * width + j * terms, COLUMNS<A> * terms);
  }

  // y (rows, n) = [y +] x b for x (rows, k), rows <= BLOCK; scratch (BLOCK, DEPTH)
  void multiply(int64_t rows, const A* x, A* y, bool add, const Scratch<A>& scratch) const {
    int64_t p = 0;
    do {  // once even for k = 0, which makes zeros
      const int64_t d = min(depth, k - p);
      pack<ROWS>(x + p, k, 1, rows, d, scratch.at(0, round_up(rows, ROWS) * d));
      for (int64_t j = 0; j < n; j += COLUMNS<A>)
        for (int64_t i = 0; i < rows; i += ROWS)
          fitting_tile<A>(min(ROWS, rows - i), d, packed_rows(scratch.at(i * d, ROWS * d)), packed_columns(at(p, j)),
                          y + i * n + j, n, min(COLUMNS<A>, n - j), p > 0 || add);
      p += depth;
    } while (p < k);
  }
};

// What a thread needs for the sequences that walk together.
template <class A>
struct Walk {
  const Scratch<A> packed, v, m;  // (BLOCK, DEPTH), (BLOCK, G H), (BLOCK, H)
  explicit Walk(const Layer& layer) : packed(BLOCK, DEPTH), v(BLOCK, layer.gates()), m(BLOCK, layer.hidden) {}
};

// f(first sequence, last sequence, walk) for blocks of sequences, on all threads.
template <class A, class F>
void for_each_block(const Layer& layer, const F& f) {
  int64_t rows = 0;
  for (int64_t t = 0; t < layer.steps; t++) rows += layer.batch_sizes[t];
  const int64_t work = rows * layer.gates() * layer.state / (layer.batch + 1);
  parallel_for(0, layer.batch, 1 + STEP_WORK / (work + 1), [&](int64_t begin, int64_t end) {
    const Walk<A> walk(layer);
    for (int64_t b = begin; b < end; b += BLOCK) f(b, min(b + BLOCK, end), walk);
  });
}

template <Mode mode, class A>
void forward(const Layer& layer, const RecurrenceForward& to) {
  const int64_t H = layer.hidden, P = layer.state, G = layer.gates();
  const PackedMatrix<A> w_hh((const A*)layer.w_hh, 1, P, P, G), w_hr((const A*)layer.w_hr, 1, H, layer.w_hr ? H : 0, P);
  const Scratch<A> zeros(layer.b_hh ? 0 : G);
  fill_zeros(zeros);
  const A* bias = layer.b_hh ? (const A*)layer.b_hh : zeros.data();
  for_each_block<A>(layer, [&](int64_t b0, int64_t b1, const Walk<A>& walk) {
    A *const v = walk.v.data(), *const m = walk.m.data();
    for_each_step(layer, layer.reverse, [&](int64_t, int64_t row, int64_t batch) {
      const int64_t n = min(batch, b1) - b0;
      if (n <= 0) return;
      A *h = (A*)to.h + b0 * P, *c = (A*)to.c + b0 * H, *to_m = layer.w_hr ? m : h;
      row += b0;
      w_hh.multiply(n, h, v, false, walk.packed);
      for (int64_t b = 0; b < n; b++)
        cell<mode>(H, (A*)to.gates + (row + b) * G, v + b * G, bias, (A*)to.inner + (row + b) * H, c + b * H, h + b * P,
                   to_m + b * H);
      if (layer.w_hr) w_hr.multiply(n, m, h, false, walk.packed);
      copy((A*)to.y + row * P, h, n * P);
    });
  });
}

template <Mode mode, class A>
void backward(const Layer& layer, const RecurrenceBackward& to) {
  const int64_t H = layer.hidden, P = layer.state, G = layer.gates();
  const PackedMatrix<A> w_hh((const A*)layer.w_hh, P, 1, G, P), w_hr((const A*)layer.w_hr, H, 1, layer.w_hr ? P : 0, H);
  for_each_block<A>(layer, [&](int64_t b0, int64_t b1, const Walk<A>& walk) {
    A* const projected = walk.m.data();
    for_each_step(layer, !layer.reverse, [&](int64_t t, int64_t row, int64_t batch) {
      const int64_t n = min(batch, b1) - b0, first = row + b0;
      if (n <= 0) return;
      A *dh = (A*)to.dh + b0 * P, *dc = (A*)to.dc + b0 * H;
      add(dh, (const A*)to.grad + first * P, n * P);
      if (layer.w_hr) copy((A*)to.dy + first * P, dh, n * P), w_hr.multiply(n, dh, projected, false, walk.packed);
      const A* dm = layer.w_hr ? projected : dh;
      for (int64_t b = 0; b < n; b++) {
        const A *h = state_before(layer, (const A*)to.y, (const A*)to.h0, P, t, row, b0 + b), *c = nullptr;
        if (mode == Mode::lstm) c = state_before(layer, (const A*)to.inner, (const A*)to.c0, H, t, row, b0 + b);
        const int64_t at = first + b;
        copy((A*)to.before + at * P, h, P);
        cell_backward<mode>(H, (const A*)to.activations + at * G, (const A*)to.inner + at * H, c, h, dm + b * H, dh + b * P,
                            dc + b * H, (A*)to.du + at * G, (A*)to.dv + at * G, to.m ? (A*)to.m + at * H : nullptr);
      }
      w_hh.multiply(n, (const A*)to.dv + first * G, dh, mode == Mode::gru, walk.packed);
    });
  });
}

}  // namespace

SN_DEFINE_RUNG(RecurrenceKernels, recurrence_3) = {
    [](const On& on, const Layer& layer, const RecurrenceForward& to) {
      if (on.dtype == DType::f64) SN_MODES(forward, double, layer, to) else SN_MODES(forward, float, layer, to)
    },
    [](const On& on, const Layer& layer, const RecurrenceBackward& to) {
      if (on.dtype == DType::f64) SN_MODES(backward, double, layer, to) else SN_MODES(backward, float, layer, to)
    },
};

}  // namespace scratchnet
