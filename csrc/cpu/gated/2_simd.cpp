// Gated units, rung 2: whole registers, exp and erf as polynomials on 4, 8 or 16 elements at a time.
//
//   forward   y = act(x)                                          reads 1, writes 1 tensor
//   backward  dx = grad act'(x)                                   reads 2, writes 1
//   gated     y = act(gate) value                                 reads 2, writes 1
//             dvalue = grad act(gate), dgate = grad value act'(gate)   reads 3, writes 2
#include "activated.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T, Activation ACT>
void forward(const T* x, T* y, int64_t n) {
  map<T>(0, n, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(y + i, activated<ACT, acc_t<T>>(get(x + i)).y); });
}

template <class T, Activation ACT>
void backward(const T* grad, const T* x, T* dx, int64_t n) {
  map<T>(0, n, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
    put(dx + i, times_slope<ACT>(get(grad + i), activated<ACT, acc_t<T>>(get(x + i)).slope));
  });
}

template <class T, Activation ACT>
void gated_forward(const T* gate, const T* value, T* y, int64_t rows, int64_t columns, int64_t step) {
  for (int64_t i = 0; i < rows; i++, gate += step, value += step, y += columns)
    map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      put(y + j, activated<ACT, acc_t<T>>(get(gate + j)).y * get(value + j));
    });
}

template <class T, Activation ACT>
void gated_backward(const T* grad, const T* gate, const T* value, T* dgate, T* dvalue, int64_t rows, int64_t columns,
                    int64_t step) {
  for (int64_t i = 0; i < rows; i++)
    map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      const int64_t from = i * step + j;
      const auto g = get(grad + i * columns + j);
      const auto [y, slope] = activated<ACT, acc_t<T>>(get(gate + from));
      if (dgate) put(dgate + from, times_slope<ACT>(g * get(value + from), slope));
      if (dvalue) put(dvalue + from, g * y);
    });
}

}  // namespace

SN_DEFINE_RUNG(GatedKernels, gated_2) = {
    SN_GATED(with_self, forward),
    SN_GATED(with_self, backward),
    SN_GATED(with_gate, gated_forward),
    SN_GATED(with_gate, gated_backward),
};

}  // namespace scratchnet
