// Gated units, rung 3: the elements are split over the threads, in the middle of a row too.
//
//   forward   y = act(x)                            reads 1, writes 1 tensor:    8 bytes per element (float32)
//   backward  dx = grad act'(x)                     reads 2, writes 1:          12 bytes
//   gated     y = act(gate) value                   reads 2, writes 1:          12 bytes
//             dvalue = grad act(gate), dgate = grad value act'(gate)
//                                                   reads 3, writes 2:          20 bytes
//
// Nothing but the inputs is saved: computing act again costs some 20 flops per element, which hide behind the memory traffic.
#include "activated.h"
#include "cpu/flush.h"
#include "cpu/ladder.h"
#include "cpu/parallel.h"

namespace scratchnet {
namespace {

template <class T, Activation ACT>
void forward(const T* x, T* y, int64_t n) {
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
    map<T>(begin, end,
           [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(y + i, activated<ACT, acc_t<T>>(get(x + i)).y); });
  });
}

template <class T, Activation ACT>
void backward(const T* grad, const T* x, T* dx, int64_t n) {
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
    const FlushToZero flush;
    map<T>(begin, end, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      put(dx + i, times_slope<ACT>(get(grad + i), activated<ACT, acc_t<T>>(get(x + i)).slope));
    });
  });
}

// f(from, to, n) for each piece of a row: n elements at `from` of gate and value, at `to` of y.
template <class F>
void for_each_piece(int64_t rows, int64_t columns, int64_t step, bool flush_to_zero, const F& f) {
  parallel_for(0, rows * columns, GRAIN, [&](int64_t begin, int64_t end) {
    const FlushToZero flush(flush_to_zero);
    for (int64_t i = begin; i < end;) {
      const int64_t row = i / columns, n = min(end, (row + 1) * columns) - i;
      f(i + row * (step - columns), i, n);
      i += n;
    }
  });
}

template <class T, Activation ACT>
void gated_forward(const T* gate, const T* value, T* y, int64_t rows, int64_t columns, int64_t step) {
  for_each_piece(rows, columns, step, false, [&](int64_t from, int64_t to, int64_t n) {
    map<T>(0, n, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      put(y + to + j, activated<ACT, acc_t<T>>(get(gate + from + j)).y * get(value + from + j));
    });
  });
}

template <class T, Activation ACT>
void gated_backward(const T* grad, const T* gate, const T* value, T* dgate, T* dvalue, int64_t rows, int64_t columns,
                    int64_t step) {
  for_each_piece(rows, columns, step, true, [&](int64_t from, int64_t to, int64_t n) {
    map<T>(0, n, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      const auto g = get(grad + to + j);
      const auto [y, slope] = activated<ACT, acc_t<T>>(get(gate + from + j));
      if (dgate) put(dgate + from + j, times_slope<ACT>(g * get(value + from + j), slope));
      if (dvalue) put(dvalue + from + j, g * y);
    });
  });
}

}  // namespace

SN_DEFINE_RUNG(GatedKernels, gated_3) = {
    SN_GATED(with_self, forward),
    SN_GATED(with_self, backward),
    SN_GATED(with_gate, gated_forward),
    SN_GATED(with_gate, gated_backward),
};

}  // namespace scratchnet
