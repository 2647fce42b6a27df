// Recurrent layers, rung 1: step after step, sequence after sequence, gate after gate, as the formulas stand in recurrence.h.
//
//   forward   2 G H P flops per row; reads all weights for every row
//   backward  the same again: dh = W_hh^T dv
#include <math.h>

#include "cpu/ladder.h"
#include "whole_steps.h"

namespace scratchnet {
namespace {

template <class A>
A sigmoid(A x) {
  return 1 / (1 + exp(-x));
}

template <class A>
void Weights<A>::multiply(int64_t rows, const A* x, A* y, bool add) const {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = add ? y[i * n + j] : 0;
      for (int64_t p = 0; p < k; p++) sum += double(data[j * column + p * row]) * x[i * k + p];
      y[i * n + j] = sum;
    }
}

template <class A>
void add(A* to, const A* from, int64_t count) {
  for (int64_t j = 0; j < count; j++) to[j] += from[j];
}

template <Mode mode, class A>
void cell(int64_t H, A* u, const A* v, const A* bias, A* inner, A* c, const A* h, A* m) {
  const auto sum = [&](int64_t gate) { return u[gate] + (v[gate] + bias[gate]); };
  for (int64_t j = 0; j < H; j++) {
    const int64_t j1 = H + j, j2 = 2 * H + j, j3 = 3 * H + j;
    if constexpr (mode == Mode::lstm) {
      u[j] = sigmoid(sum(j)), u[j1] = sigmoid(sum(j1)), u[j2] = tanh(sum(j2)), u[j3] = sigmoid(sum(j3));
      inner[j] = c[j] = u[j1] * c[j] + u[j] * u[j2];
      m[j] = u[j3] * tanh(c[j]);
    } else if constexpr (mode == Mode::gru) {
      u[j] = sigmoid(sum(j)), u[j1] = sigmoid(sum(j1));
      inner[j] = v[j2] + bias[j2];
      u[j2] = tanh(u[j2] + u[j] * inner[j]);
      m[j] = u[j2] + u[j1] * (h[j] - u[j2]);
    } else {
      m[j] = u[j] = mode == Mode::rnn_tanh ? tanh(sum(j)) : sum(j) < 0 ? 0 : sum(j);  // NaN stays NaN
    }
  }
}

template <Mode mode, class A>
void cell_backward(int64_t H, const A* a, const A* inner, const A* c, const A* h, const A* dm, A* dh, A* dc, A* du, A* dv,
                   A* m) {
  for (int64_t j = 0; j < H; j++) {
    const int64_t j1 = H + j, j2 = 2 * H + j, j3 = 3 * H + j;
    if constexpr (mode == Mode::lstm) {
      const A i = a[j], f = a[j1], g = a[j2], o = a[j3], tanh_c = tanh(inner[j]);
      const A d = dc[j] + dm[j] * o * (1 - tanh_c * tanh_c);
      du[j] = d * g * i * (1 - i), du[j1] = d * c[j] * f * (1 - f);
      du[j2] = d * i * (1 - g * g), du[j3] = dm[j] * tanh_c * o * (1 - o);
      dc[j] = d * f;
      if (m) m[j] = o * tanh_c;
    } else if constexpr (mode == Mode::gru) {
      const A r = a[j], z = a[j1], n = a[j2], d = dm[j];
      const A dn = (d * (1 - z) + (d - d)) * (1 - n * n);
      dv[j] = du[j] = dn * inner[j] * r * (1 - r);
      dv[j1] = du[j1] = d * (h[j] - n) * z * (1 - z);
      du[j2] = dn, dv[j2] = dn * r;
      dh[j] = d * z;
    } else {
      du[j] = mode == Mode::rnn_tanh ? dm[j] * (1 - a[j] * a[j]) : a[j] <= 0 ? 0 : dm[j];  // NaN lets the gradient through
    }
  }
}

}  // namespace

SN_DEFINE_RUNG(RecurrenceKernels, recurrence_1) = {
    [](const On& on, const Layer& layer, const RecurrenceForward& to) {
      if (on.dtype == DType::f64) SN_MODES(forward, double, layer, to) else SN_MODES(forward, float, layer, to)
    },
    [](const On& on, const Layer& layer, const RecurrenceBackward& to) {
      if (on.dtype == DType::f64) SN_MODES(backward, double, layer, to) else SN_MODES(backward, float, layer, to)
    },
};

}  // namespace scratchnet
