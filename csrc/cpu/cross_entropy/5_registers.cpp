// Softmax, log_softmax and logsumexp, rung 5: all that happens to a number happens while it is in a register; nothing is
// copied.
//
//   forward   y = exp(x - max) / sum, the second reading from cache:      8 bytes per element (float32)
//   backward  reads two, writes one:                                     12 bytes
//
// That goes for classes on the last axis, inner == 1: rows that lie in order. The others are left to rung 4.
#include "cpu/ladder.h"
#include "in_registers.h"
#include "layout.h"

namespace scratchnet {
namespace {

// y[c] = value(c, load) of a row of n numbers; its whole cache lines past the cache, if asked.
template <class T, class Value>
SN_INLINE void write_row(T* y, int64_t n, bool stream, const Value& value) {
  const auto part = [&](int64_t c, int64_t count, T* to) SN_LAMBDA_INLINE {
    map<T>(0, count, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(to + i, value(c + i, get)); });
  };
  const int64_t head = stream ? min(n, int64_t(-(uintptr_t)y % LINE / sizeof(T))) : 0;  // before the first of them
  if (head) part(0, head, y);
  write(y + head, n - head, stream, [&](int64_t c, int64_t count, T* to) SN_LAMBDA_INLINE { part(head + c, count, to); });
}

// y = to(x - high, low) with two numbers of each row made of its statistics; SHARES: y = exp(x - high) low, and the
// exponentials of a short row are kept between its sum and y.
template <class T, bool SHARES, class Finish, class To>
SN_INLINE void normalize(const T* x, T* y, int64_t outer, int64_t classes, const Finish& finish, const To& to) {
  using A = acc_t<T>;
  const bool stream = outer * classes * sizeof(T) >= STREAM_BYTES;
  Pieces(outer, classes, 1).for_each_row([&](int64_t, int64_t at, int64_t) {
    if (SHARES && classes <= BLOCK) {
      A e[BLOCK + lanes<A>];
      const vec<A> low = splat(A(finish(statistics(x + at, classes, e).sum)));
      return write_row(y + at, classes, stream, [&](int64_t c, auto get) SN_LAMBDA_INLINE { return get(e + c) * low; });
    }
    const auto s = statistics(x + at, classes);
    const vec<A> max = splat(s.max), low = splat(A(finish(s.sum)));
    write_row(y + at, classes, stream, [&](int64_t c, auto get) SN_LAMBDA_INLINE { return to(get(x + at + c) - max, low); });
  });
}

template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t) {
  normalize<T, true>(
      x, y, outer, classes, [](auto sum) { return 1 / sum; },
      [](auto x, auto inverse) SN_LAMBDA_INLINE { return vexp(x) * inverse; });
}

template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t) {
  normalize<T, false>(
      x, y, outer, classes, [](auto sum) { return log(sum); },
      [](auto x, auto log_sum) SN_LAMBDA_INLINE { return x - log_sum; });
}

// dx = to(grad, y, sum over the row of term(grad, y))
template <class T, class Term, class To>
SN_INLINE void project(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, const Term& term, const To& to) {
  using A = acc_t<T>;
  Pieces(outer, classes, 1).for_each_row([&](int64_t, int64_t at, int64_t) {
    const vec<A> sum = splat(
        A(sum_of<T>(classes, [&](int64_t c, auto get) SN_LAMBDA_INLINE { return term(get(grad + at + c), get(y + at + c)); })));
    map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE {
      put(dx + at + c, to(get(grad + at + c), get(y + at + c), sum));
    });
  });
}

template <class T>
void softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t) {
  project(
      grad, y, dx, outer, classes, [](auto g, auto y) SN_LAMBDA_INLINE { return g * y; },
      [](auto g, auto y, auto sum) SN_LAMBDA_INLINE { return y * (g - sum); });
}

template <class T>
void log_softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t) {
  project(
      grad, y, dx, outer, classes, [](auto g, auto) SN_LAMBDA_INLINE { return g; },
      [](auto g, auto y, auto sum) SN_LAMBDA_INLINE { return g - vexp(y) * sum; });
}

template <class T>
void logsumexp_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t) {
  Pieces(outer, classes, 1).for_each_row([&](int64_t, int64_t at, int64_t i) {
    store1(y + i, acc_t<T>(statistics(x + at, classes).logsumexp()));
  });
}

// dx = grad exp(x - y)
template <class T>
void logsumexp_backward(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t) {
  using A = acc_t<T>;
  Pieces(outer, classes, 1).for_each_row([&](int64_t, int64_t at, int64_t i) {
    const auto s = statistics(x + at, classes);
    const A log_sum = isinf(s.max) ? 0 : s.log_sum(), g = load1(grad + i);
    map<T>(0, classes, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE {
      put(dx + at + c, g * vexp(get(x + at + c) - s.max - log_sum));
    });
  });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_5) = {
    SN_FROM(cross_entropy_kernels(4), cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(4), cross_entropy_reduce),
    SN_FROM(cross_entropy_kernels(4), cross_entropy_backward),
    SN_LAYOUT(== 1, softmax_forward, cross_entropy_kernels(4)),
    SN_LAYOUT(== 1, softmax_backward, cross_entropy_kernels(4)),
    SN_LAYOUT(== 1, log_softmax_forward, cross_entropy_kernels(4)),
    SN_LAYOUT(== 1, log_softmax_backward, cross_entropy_kernels(4)),
    SN_LAYOUT(== 1, logsumexp_forward, cross_entropy_kernels(4)),
    SN_LAYOUT(== 1, logsumexp_backward, cross_entropy_kernels(4)),
};

}  // namespace scratchnet
