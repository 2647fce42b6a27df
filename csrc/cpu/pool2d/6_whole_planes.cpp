// Pooling, rung 6: the average over one window as large as the plane needs neither lines nor columns.
#include "cpu/ladder.h"
#include "cpu/row_sums.h"
#include "ops/pool2d.h"

namespace scratchnet {
namespace {

constexpr int64_t PIECE = 4096;

bool fills(const Spans& s) { return s.out == 1 && s.begin[0] == 0 && s.end[0] == s.in; }

// The sum of n numbers: of pieces that are short enough for float, and of these in double: a plane may have millions of
// entries.
template <class T>
SN_INLINE double plane_sum(const T* p, int64_t n) {
  using A = acc_t<T>;
  constexpr int64_t L = lanes<A>, N = 8, AHEAD_BYTES = 2048;
  double sum = 0;
  for (; n >= PIECE; p += PIECE, n -= PIECE) {
    vec<A> part[N] = {};
    for (int64_t i = 0; i < PIECE; i += N * L) {
      for (int64_t b = 0; b < N * L * (int64_t)sizeof(T); b += 64)  // at the end of a page the CPU stops doing so itself
        __builtin_prefetch((const char*)(p + i) + AHEAD_BYTES + b);
#pragma GCC unroll 8
      for (int64_t u = 0; u < N; u++) part[u] += load(p + i + u * L);
    }
    for (int64_t u = 0; u < N / 2; u++) part[u] += part[u + N / 2];
    sum += vsum((part[0] + part[1]) + (part[2] + part[3]));
  }
  return sum + sum_block<A, 1>(0, n, [p](int64_t i, auto get) SN_LAMBDA_INLINE { return Terms<A, 1>{get(p + i)}; }).v[0];
}

template <class T>
void means(const T* x, T* y, int64_t planes, int64_t n, acc_t<T> divisor) {
  for (int64_t p = 0; p < planes; p++) store1(y + p, acc_t<T>(plane_sum(x + p * n, n) / divisor));
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
