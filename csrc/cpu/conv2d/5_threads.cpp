// Convolution, rung 5: threads (thread_tiles.h). The gradient of the bias, too, a register at a time, a filter to a thread.
#include "thread_tiles.h"

namespace scratchnet {
namespace {

template <class T>
void correlate(const Correlation<T>& c) {
  correlate_tiles(c);
}

template <class T>
void bias_gradient(const Conv2dSizes& size, const T* grad, T* dbias) {
  using A = acc_t<T>;
  const int64_t filters = size.groups * size.filters, outputs = size.out[0] * size.out[1];
  parallel_for(0, filters, 1 + GRAIN / (size.batch * outputs + 1), [&](int64_t begin, int64_t end) {
    for (int64_t f = begin; f < end; f++) {
      double total = 0;
      for (int64_t n = 0; n < size.batch; n++)
        for (int64_t i = 0; i < outputs; i += POSITIONS * lanes<A>) {
          vec<A> sum = {};
          map<T>(i, min(outputs, i + POSITIONS * lanes<A>),
                 [&](int64_t k, auto get, auto) SN_LAMBDA_INLINE { sum += get(grad + (n * filters + f) * outputs + k); });
          total += vsum(sum);
        }
      store1(dbias + f, A(total));
    }
  });
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_5) = {
    correlation_forward,
    [](const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight, void* dx, void* dweight,
       void* dbias) {
      correlation_backward(on, size, grad, x, weight, dx, dweight, nullptr);
      if (dbias) SN_TYPED(bias_gradient)(on, size, grad, dbias);
    },
};

}  // namespace scratchnet
