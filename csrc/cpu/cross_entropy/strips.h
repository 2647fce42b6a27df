// A strip of rows, walked class by class, a register holding the same class of successive rows: element (c, j) lies at
// x[c * stride + j], j < width.
#pragma once
#include <type_traits>

#include "pieces.h"

namespace scratchnet {
namespace {

constexpr int64_t DEPTH = 16;  // classes of a block of a strip: again 16 KiB, read twice

template <class A>
using integer = std::conditional_t<sizeof(A) == 4, int32_t, int64_t>;  // as many in a register as numbers of type A

// Numbers of type A, one for each row of a strip.
template <class A>
struct alignas(64) Each {
  A value[STRIP];
  operator A*() { return value; }
};

// total[j] += sum over c of value(c, j, load): blocks of DEPTH classes in four accumulators, then their sums.
template <class T, class Value>
SN_INLINE void sum_strip(int64_t classes, int64_t width, acc_t<T>* total, const Value& value) {
  for (int64_t begin = 0; begin < classes; begin += DEPTH) {
    const int64_t end = min(begin + DEPTH, classes);
    map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      vec<acc_t<T>> sum[4] = {};
      for (int64_t c = begin; c < end; c++) sum[c % 4] += value(c, j, get);
      put(total + j, get(total + j) + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
    });
  }
}

// max[j], and sum[j] of exp(x - max[j])
template <class T>
void statistics(const T* x, int64_t classes, int64_t stride, int64_t width, acc_t<T>* max, acc_t<T>* sum) {
  using A = acc_t<T>;
  for (int64_t j = 0; j < width; j++) max[j] = -INFINITY, sum[j] = 0;
  for (int64_t begin = 0; begin < classes; begin += DEPTH) {
    const int64_t end = min(begin + DEPTH, classes);
    map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      const vec<A> before = get(max + j);
      vec<A> next = before, part = {};
      for (int64_t c = begin; c < end; c++) next = vmax(next, get(x + c * stride + j));
      const vec<A> shift = next == A(-INFINITY) ? splat(A(0)) : next;
      for (int64_t c = begin; c < end; c++) part += vexp(get(x + c * stride + j) - shift);
      put(sum + j, get(sum + j) * vexp(before - shift) + part);
      put(max + j, next);
    });
  }
  for (int64_t j = 0; j < width; j++)
    if (max[j] == -INFINITY) sum[j] = NAN;
}

}  // namespace
}  // namespace scratchnet
