// Recurrent layers, rung 2: the recurrent weights are packed once and used in every step; each thread walks through all steps
// with sequences of its own, so that no step waits for another thread; whole registers for the nonlinearities.
//
//   forward   2 G H P flops per row; reads gates, writes gates, inner, y and, in cache, v and the state
//   backward  the same flops for dh = W_hh^T dv; the weights' gradients are products over all rows, left to the caller
//
// A row's sums are formed in the same order whichever rows are beside it: the same bits for any number of threads.
#include "cpu/ladder.h"
#include "cpu/matmul/pack.h"
#include "cpu/matmul/tile.h"
#include "cpu/memory.h"
#include "cpu/parallel.h"
#include "steps.h"

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

template <class A>
void copy(A* to, const A* from, int64_t count) {
  if (count) memcpy(to, from, count * sizeof(A));  // of nothing, a pointer may be null
}

// One step of one sequence: u (G H) becomes the activations; m is h', or what is projected to it.
template <Mode mode, class A>
void cell(int64_t H, A* u, const A* v, const A* bias, A* inner, A* c, const A* h, A* m) {
  map<A>(0, H, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
    const auto v_at = [&](int64_t i) SN_LAMBDA_INLINE { return get(v + i) + get(bias + i); };
    if constexpr (mode == Mode::lstm) {
      const auto i = sigmoid<A>(get(u + j) + v_at(j)).value, f = sigmoid<A>(get(u + H + j) + v_at(H + j)).value;
      const auto g = vtanh(get(u + 2 * H + j) + v_at(2 * H + j));
      const auto o = sigmoid<A>(get(u + 3 * H + j) + v_at(3 * H + j)).value;
      const auto cell = f * get(c + j) + i * g;
      put(u + j, i), put(u + H + j, f), put(u + 2 * H + j, g), put(u + 3 * H + j, o);
      put(c + j, cell), put(inner + j, cell);
      put(m + j, o * vtanh(cell));
    } else if constexpr (mode == Mode::gru) {
      const auto r = sigmoid<A>(get(u + j) + v_at(j)).value, z = sigmoid<A>(get(u + H + j) + v_at(H + j)).value;
      const auto v_n = v_at(2 * H + j), n = vtanh(get(u + 2 * H + j) + r * v_n);
      put(u + j, r), put(u + H + j, z), put(u + 2 * H + j, n), put(inner + j, v_n);
      put(m + j, n + z * (get(h + j) - n));
    } else {
      const auto x = get(u + j) + v_at(j), y = mode == Mode::rnn_tanh ? vtanh(x) : x < 0 ? vec<A>{} : x;  // NaN stays NaN
      put(u + j, y), put(m + j, y);
    }
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

// One step of one sequence, backwards: du and dv from dm, the gradient of m; dh keeps what a GRU hands on beside W_hh^T dv.
template <Mode mode, class A>
void cell_backward(int64_t H, const A* a, const A* inner, const A* c, const A* h, const A* dm, A* dh, A* dc, A* du, A* dv,
                   A* m) {
  map<A>(0, H, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
    const auto d_m = get(dm + j);
    if constexpr (mode == Mode::lstm) {
      const auto i = get(a + j), f = get(a + H + j), g = get(a + 2 * H + j), o = get(a + 3 * H + j);
      const auto tanh_c = vtanh(get(inner + j)), d = get(dc + j) + d_m * o * (1 - tanh_c * tanh_c);
      put(du + j, d * g * i * (1 - i)), put(du + H + j, d * get(c + j) * f * (1 - f));
      put(du + 2 * H + j, d * i * (1 - g * g)), put(du + 3 * H + j, d_m * tanh_c * o * (1 - o));
      put(dc + j, d * f);
      if (m) put(m + j, o * tanh_c);
    } else if constexpr (mode == Mode::gru) {
      const auto r = get(a + j), z = get(a + H + j), n = get(a + 2 * H + j);
      // d_m (1 - z), which keeps its digits where z is nearly 1; an infinite d_m cancels to NaN, as torch's d_m - d_m z does.
      const auto dn = (d_m * (1 - z) + (d_m - d_m)) * (1 - n * n);
      const auto dr = dn * get(inner + j) * r * (1 - r), dz = d_m * (get(h + j) - n) * z * (1 - z);
      put(du + j, dr), put(dv + j, dr), put(du + H + j, dz), put(dv + H + j, dz);
      put(du + 2 * H + j, dn), put(dv + 2 * H + j, dn * r);
      put(dh + j, d_m * z);
    } else {
      const auto y = get(a + j);
      put(du + j, mode == Mode::rnn_tanh ? d_m * (1 - y * y) : y <= 0 ? vec<A>{} : d_m);  // NaN lets the gradient through
    }
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
      const A* grad = (const A*)to.grad + first * P;
      map<A>(0, n * P, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { put(dh + j, get(dh + j) + get(grad + j)); });
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

// Picks the element type and the mode at compile time.
#define SN_MODES(function, A, layer, to)                                \
  switch (layer.mode) {                                                 \
    case Mode::rnn_tanh: return function<Mode::rnn_tanh, A>(layer, to); \
    case Mode::rnn_relu: return function<Mode::rnn_relu, A>(layer, to); \
    case Mode::lstm: return function<Mode::lstm, A>(layer, to);         \
    case Mode::gru: return function<Mode::gru, A>(layer, to);           \
  }

SN_DEFINE_RUNG(RecurrenceKernels, recurrence_2) = {
    [](const On& on, const Layer& layer, const RecurrenceForward& to) {
      if (on.dtype == DType::f64) SN_MODES(forward, double, layer, to) else SN_MODES(forward, float, layer, to)
    },
    [](const On& on, const Layer& layer, const RecurrenceBackward& to) {
      if (on.dtype == DType::f64) SN_MODES(backward, double, layer, to) else SN_MODES(backward, float, layer, to)
    },
};

}  // namespace scratchnet
