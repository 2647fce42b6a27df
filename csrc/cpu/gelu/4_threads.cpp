// GELU, rung 4: the work is split over the threads, and the fused forms get what gelu has: registers and threads.
//
//   forward   y  = x Phi(x)                                       reads 1, writes 1 tensor:   8 bytes per element (float32)
//   backward  dx = grad (Phi(x) + x phi(x))                       reads 2, writes 1:         12 bytes
//
// Nothing but x is saved: recomputing Phi costs some 40 flops per element, which hide behind the memory traffic.
// The bias is added in registers; its gradient is summed while dx is in registers.
#include "cpu/column_sums.h"
#include "cpu/flush.h"
#include "cpu/ladder.h"
#include "gate.h"
#include "ops/gelu.h"

namespace scratchnet {
namespace {

template <class T, bool tanh>
void forward(const T* x, T* y, int64_t n) {
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
    map<T>(begin, end, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      const auto v = get(x + i);
      put(y + i, v * gate<tanh, acc_t<T>>(v).cdf);
    });
  });
}

template <class T, bool tanh>
void backward(const T* grad, const T* x, T* dx, int64_t n) {
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
    const FlushToZero flush;
    map<T>(begin, end, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      const auto v = get(x + i);
      const auto [cdf, slope] = gate<tanh, acc_t<T>>(v);
      put(dx + i, get(grad + i) * (cdf + v * slope));
    });
  });
}

template <class T, bool tanh>
void bias_forward(const T* x, const T* bias, T* y, int64_t rows, int64_t columns) {
  parallel_for(0, rows, 1 + GRAIN / (columns + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        const auto v = get(x + i * columns + j) + get(bias + j);
        put(y + i * columns + j, v * gate<tanh, acc_t<T>>(v).cdf);
      });
  });
}

template <class T, bool tanh>
void bias_backward(const T* grad, const T* x, const T* bias, T* dx, T* dbias, int64_t rows, int64_t columns) {
  using A = acc_t<T>;
  ColumnSums<A> sums(rows, columns);
  sums.for_each_chunk([&](int64_t begin, int64_t end, A* partial) {
    const FlushToZero flush;
    for (int64_t i = begin; i < end; i++)
      map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        const auto v = get(x + i * columns + j) + get(bias + j);
        const auto [cdf, slope] = gate<tanh, A>(v);
        const auto d = get(grad + i * columns + j) * (cdf + v * slope);
        if (dx) put(dx + i * columns + j, d);
        if (dbias) put(partial + j, get(partial + j) + d);
      });
  });
  if (dbias) sums.total(dbias);
}

}  // namespace

SN_DEFINE_RUNG(GeluKernels, gelu_4) = {
    SN_GELU(forward),
    SN_GELU(backward),
    SN_GELU(bias_forward),
    SN_GELU(bias_backward),
};

}  // namespace scratchnet
