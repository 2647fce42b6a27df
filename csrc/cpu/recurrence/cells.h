// One step of one sequence, whole registers at a time: what becomes of the products with the weights.
#pragma once
#include "cpu/simd.h"
#include "steps.h"

namespace scratchnet {
namespace {

template <class A>
void add(A* to, const A* from, int64_t count) {
  map<A>(0, count, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { put(to + j, get(to + j) + get(from + j)); });
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

}  // namespace
}  // namespace scratchnet
