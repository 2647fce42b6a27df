// Recurrent layers, rung 1: step after step, sequence after sequence, gate after gate, as the formulas stand in recurrence.h.
//
//   forward   2 G H P flops per row; reads all weights for every row
//   backward  the same again: dh = W_hh^T dv
#include <math.h>

#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "steps.h"

namespace scratchnet {
namespace {

template <class A>
A sigmoid(A x) {
  return 1 / (1 + exp(-x));
}

// y = [y +] W x (rows) for W (rows, columns), its element (i, j) at w[i * row + j * column].
template <class A>
void multiply(const A* w, int64_t row, int64_t column, const A* x, A* y, int64_t rows, int64_t columns, bool add) {
  for (int64_t i = 0; i < rows; i++) {
    double sum = add ? y[i] : 0;
    for (int64_t j = 0; j < columns; j++) sum += double(w[i * row + j * column]) * x[j];
    y[i] = sum;
  }
}

template <class A>
void forward(const Layer& layer, const RecurrenceForward& to) {
  const int64_t H = layer.hidden, P = layer.state, G = layer.gates();
  const A *w_hh = (const A*)layer.w_hh, *b_hh = (const A*)layer.b_hh, *w_hr = (const A*)layer.w_hr;
  const Scratch<A> v(G), m(H);
  for_each_step(layer, layer.reverse, [&](int64_t, int64_t row, int64_t n) {
    for (int64_t b = 0; b < n; b++) {
      A *u = (A*)to.gates + (row + b) * G, *h = (A*)to.h + b * P, *c = (A*)to.c + b * H, *inner = (A*)to.inner + (row + b) * H;
      for (int64_t j = 0; j < G; j++) v[j] = b_hh ? b_hh[j] : 0;
      multiply(w_hh, P, 1, h, v.data(), G, P, true);
      for (int64_t j = 0; j < H; j++) {
        const int64_t j1 = H + j, j2 = 2 * H + j, j3 = 3 * H + j;
        switch (layer.mode) {
          case Mode::lstm:
            u[j] = sigmoid(u[j] + v[j]), u[j1] = sigmoid(u[j1] + v[j1]);
            u[j2] = tanh(u[j2] + v[j2]), u[j3] = sigmoid(u[j3] + v[j3]);
            inner[j] = c[j] = u[j1] * c[j] + u[j] * u[j2];
            m[j] = u[j3] * tanh(c[j]);
            break;
          case Mode::gru:
            u[j] = sigmoid(u[j] + v[j]), u[j1] = sigmoid(u[j1] + v[j1]);
            u[j2] = tanh(u[j2] + u[j] * v[j2]);
            inner[j] = v[j2];
            m[j] = u[j2] + u[j1] * (h[j] - u[j2]);
            break;
          case Mode::rnn_tanh: m[j] = u[j] = tanh(u[j] + v[j]); break;
          case Mode::rnn_relu: m[j] = u[j] = u[j] + v[j] < 0 ? 0 : u[j] + v[j]; break;  // NaN stays NaN
        }
      }
      if (w_hr) multiply(w_hr, H, 1, m.data(), h, P, H, false);
      else
        for (int64_t j = 0; j < H; j++) h[j] = m[j];
      for (int64_t j = 0; j < P; j++) ((A*)to.y)[(row + b) * P + j] = h[j];
    }
  });
}

template <class A>
void backward(const Layer& layer, const RecurrenceBackward& to) {
  const int64_t H = layer.hidden, P = layer.state, G = layer.gates();
  const A *w_hh = (const A*)layer.w_hh, *w_hr = (const A*)layer.w_hr;
  const Scratch<A> projected(H);
  for_each_step(layer, !layer.reverse, [&](int64_t t, int64_t row, int64_t n) {
    for (int64_t b = 0; b < n; b++) {
      const A *a = (const A*)to.activations + (row + b) * G, *inner = (const A*)to.inner + (row + b) * H;
      const A* h = state_before(layer, (const A*)to.y, (const A*)to.h0, P, t, row, b);
      const A* c = layer.mode == Mode::lstm ? state_before(layer, (const A*)to.inner, (const A*)to.c0, H, t, row, b) : nullptr;
      A *dh = (A*)to.dh + b * P, *dc = (A*)to.dc + b * H, *du = (A*)to.du + (row + b) * G, *dv = (A*)to.dv + (row + b) * G;
      for (int64_t j = 0; j < P; j++) {
        dh[j] += ((const A*)to.grad)[(row + b) * P + j];
        ((A*)to.before)[(row + b) * P + j] = h[j];
        if (w_hr) ((A*)to.dy)[(row + b) * P + j] = dh[j];
      }
      if (w_hr) multiply(w_hr, 1, H, dh, projected.data(), H, P, false);
      const A* dm = w_hr ? projected.data() : dh;
      for (int64_t j = 0; j < H; j++) {
        const int64_t j1 = H + j, j2 = 2 * H + j, j3 = 3 * H + j;
        switch (layer.mode) {
          case Mode::lstm: {
            const A i = a[j], f = a[j1], g = a[j2], o = a[j3], tanh_c = tanh(inner[j]);
            const A d = dc[j] + dm[j] * o * (1 - tanh_c * tanh_c);
            du[j] = d * g * i * (1 - i), du[j1] = d * c[j] * f * (1 - f);
            du[j2] = d * i * (1 - g * g), du[j3] = dm[j] * tanh_c * o * (1 - o);
            dc[j] = d * f;
            if (w_hr) ((A*)to.m)[(row + b) * H + j] = o * tanh_c;
            break;
          }
          case Mode::gru: {
            const A r = a[j], z = a[j1], candidate = a[j2],
                    dn = (dh[j] * (1 - z) + (dh[j] - dh[j])) * (1 - candidate * candidate);
            dv[j] = du[j] = dn * inner[j] * r * (1 - r);
            dv[j1] = du[j1] = dh[j] * (h[j] - candidate) * z * (1 - z);
            du[j2] = dn, dv[j2] = dn * r;
            dh[j] *= z;
            break;
          }
          case Mode::rnn_tanh: du[j] = dh[j] * (1 - a[j] * a[j]); break;
          case Mode::rnn_relu: du[j] = a[j] <= 0 ? 0 : dh[j]; break;  // NaN lets the gradient through
        }
      }
      multiply(w_hh, 1, P, dv, dh, P, G, layer.mode == Mode::gru);
    }
  });
}

}  // namespace

SN_DEFINE_RUNG(RecurrenceKernels, recurrence_1) = {
    [](const On& on, const Layer& layer, const RecurrenceForward& to) {
      on.dtype == DType::f64 ? forward<double>(layer, to) : forward<float>(layer, to);
    },
    [](const On& on, const Layer& layer, const RecurrenceBackward& to) {
      on.dtype == DType::f64 ? backward<double>(layer, to) : backward<float>(layer, to);
    },
};

}  // namespace scratchnet
