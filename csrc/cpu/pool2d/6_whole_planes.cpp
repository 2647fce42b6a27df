// Pooling, rung 6: the average over one window as large as the plane needs neither lines nor columns.
#include "cpu/ladder.h"
#include "cpu/row_sums.h"
#include "ops/pool2d.h"

namespace scratchnet {
namespace {

constexpr int64_t PIECE = 4096;

bool fills(const Spans& s) { return s.out == 1 && s.begin[0] == 0 && s.end[0] == s.in; }

template <class T>
void means(const T* x, T* y, int64_t planes, int64_t n, acc_t<T> divisor) {
  using A = acc_t<T>;
  for (int64_t p = 0; p < planes; p++) {
    const T* plane = x + p * n;
    double sum = 0;  // of pieces that are short enough for float: a plane may have millions of entries
    for (int64_t i = 0; i < n; i += PIECE)
      sum += sum_block<A, 1>(i, min(i + PIECE, n), [plane](int64_t j, auto get) SN_LAMBDA_INLINE {
               return Terms<A, 1>{get(plane + j)};
             }).v[0];
    store1(y + p, A(sum / divisor));
  }
}

template <class T>
void shares(const T* grad, T* dx, int64_t planes, int64_t n, acc_t<T> divisor) {
  for (int64_t p = 0; p < planes; p++)
    map<T>(0, n, [=, share = splat(load1(grad + p) / divisor)](int64_t i, auto, auto put) SN_LAMBDA_INLINE {
      put(dx + p * n + i, share);
    });
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_6) = {
    SN_FROM(pool2d_kernels(5), max_forward),
    SN_FROM(pool2d_kernels(4), max_backward),
    [](const On& on, const void* x, void* y, int64_t planes, const Spans& rows, const Spans& columns) {
      if (!fills(rows) || !fills(columns)) return pool2d_kernels(3).avg_forward(on, x, y, planes, rows, columns);
      SN_TYPED(means)(on, x, y, planes, rows.in * columns.in, *rows.divisor * *columns.divisor);
    },
    [](const On& on, const void* grad, void* dx, int64_t planes, const Spans& rows, const Spans& columns) {
      if (!fills(rows) || !fills(columns)) return pool2d_kernels(3).avg_backward(on, grad, dx, planes, rows, columns);
      SN_TYPED(shares)(on, grad, dx, planes, rows.in * columns.in, *rows.divisor * *columns.divisor);
    },
};

}  // namespace scratchnet
