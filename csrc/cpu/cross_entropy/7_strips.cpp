// Softmax, log_softmax and logsumexp, rung 7: where the classes are not the last axis, a register holds the same class of many
// rows.
//
// Of an image (classes, height, width), the scores of one pixel lie a plane apart: rung 4 copied every row, one number from
// each cache line. Here 256 neighbouring pixels, a strip, are walked class by class. Each lane of a register has a row of its
// own, so that nothing is added up across lanes; maxima and sums of a strip are arrays in the L1 cache (strips.h).
#include "cpu/ladder.h"
#include "layout.h"
#include "strips.h"

namespace scratchnet {
namespace {

// y = to(x - max, low) with two numbers of each row made of its statistics
template <class T, class Finish, class To>
SN_INLINE void normalize(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner, const Finish& finish, const To& to) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner).for_each_strip([&](int64_t, int64_t at, int64_t, int64_t width) {
    Each<A> max, low;
    statistics(x + at, classes, inner, width, max, low);
    for (int64_t j = 0; j < width; j++) low[j] = finish(low[j]);
    for (int64_t c = 0; c < classes; c++)
      map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        const int64_t here = at + c * inner + j;
        put(y + here, to(get(x + here) - get(max + j), get(low + j)));
      });
  });
}

template <class T>
void softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  normalize<T>(
      x, y, outer, classes, inner, [](auto sum) { return 1 / sum; },
      [](auto x, auto inverse) SN_LAMBDA_INLINE { return vexp(x) * inverse; });
}

template <class T>
void log_softmax_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  normalize<T>(
      x, y, outer, classes, inner, [](auto sum) { return log(sum); },
      [](auto x, auto log_sum) SN_LAMBDA_INLINE { return x - log_sum; });
}

// dx = to(grad, y, sum over the row of term(grad, y))
template <class T, class Term, class To>
SN_INLINE void project(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner, const Term& term,
                       const To& to) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner).for_each_strip([&](int64_t, int64_t at, int64_t, int64_t width) {
    Each<A> sum = {};
    sum_strip<T>(classes, width, sum, [&](int64_t c, int64_t j, auto get) SN_LAMBDA_INLINE {
      const int64_t here = at + c * inner + j;
      return term(get(grad + here), get(y + here));
    });
    for (int64_t c = 0; c < classes; c++)
      map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        const int64_t here = at + c * inner + j;
        put(dx + here, to(get(grad + here), get(y + here), get(sum + j)));
      });
  });
}

template <class T>
void softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  project(
      grad, y, dx, outer, classes, inner, [](auto g, auto y) SN_LAMBDA_INLINE { return g * y; },
      [](auto g, auto y, auto sum) SN_LAMBDA_INLINE { return y * (g - sum); });
}

template <class T>
void log_softmax_backward(const T* grad, const T* y, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  project(
      grad, y, dx, outer, classes, inner, [](auto g, auto) SN_LAMBDA_INLINE { return g; },
      [](auto g, auto y, auto sum) SN_LAMBDA_INLINE { return g - vexp(y) * sum; });
}

// log(sum) of each row of a strip in place of its sum; 0 where the maximum is infinite and alone the result.
template <class A>
void logarithms(const A* max, A* sum, int64_t width) {
  for (int64_t j = 0; j < width; j++) sum[j] = isinf(max[j]) ? A(0) : log(sum[j]);
}

template <class T>
void logsumexp_forward(const T* x, T* y, int64_t outer, int64_t classes, int64_t inner) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner).for_each_strip([&](int64_t, int64_t at, int64_t i, int64_t width) {
    Each<A> max, log_sum;
    statistics(x + at, classes, inner, width, max, log_sum);
    logarithms<A>(max, log_sum, width);
    for (int64_t j = 0; j < width; j++) store1(y + i + j, max[j] + log_sum[j]);
  });
}

// dx = grad exp(x - y)
template <class T>
void logsumexp_backward(const T* grad, const T* x, T* dx, int64_t outer, int64_t classes, int64_t inner) {
  using A = acc_t<T>;
  Pieces(outer, classes, inner).for_each_strip([&](int64_t, int64_t at, int64_t i, int64_t width) {
    Each<A> max, log_sum;
    statistics(x + at, classes, inner, width, max, log_sum);
    logarithms<A>(max, log_sum, width);
    for (int64_t c = 0; c < classes; c++)
      map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        const int64_t here = at + c * inner + j;
        put(dx + here, get(grad + i + j) * vexp(get(x + here) - get(max + j) - get(log_sum + j)));
      });
  });
}

}  // namespace

SN_DEFINE_RUNG(CrossEntropyKernels, cross_entropy_7) = {
    SN_FROM(cross_entropy_kernels(6), cross_entropy_forward),
    SN_FROM(cross_entropy_kernels(6), cross_entropy_reduce),
    SN_FROM(cross_entropy_kernels(6), cross_entropy_backward),
    SN_LAYOUT(!= 1, softmax_forward, cross_entropy_kernels(6)),
    SN_LAYOUT(!= 1, softmax_backward, cross_entropy_kernels(6)),
    SN_LAYOUT(!= 1, log_softmax_forward, cross_entropy_kernels(6)),
    SN_LAYOUT(!= 1, log_softmax_backward, cross_entropy_kernels(6)),
    SN_LAYOUT(!= 1, logsumexp_forward, cross_entropy_kernels(6)),
    SN_LAYOUT(!= 1, logsumexp_backward, cross_entropy_kernels(6)),
};

}  // namespace scratchnet
