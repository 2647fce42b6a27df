// What the rungs of cross-entropy from the third on share: max(x) and sum(exp(x - max)) of a row in one pass; how threads split
// rows.
//
// A tensor (outer, classes, inner) is reduced over classes. With inner = 1 a row lies in order in memory and a register holds
// successive classes of it. Otherwise a register holds the same class of successive rows, and a strip of such rows is walked
// class by class.
#pragma once
#include <math.h>

#include <type_traits>

#include "cpu/flush.h"
#include "cpu/parallel.h"
#include "cpu/row_sums.h"
#include "cpu/stream.h"
#include "ops/cross_entropy.h"
#include "ops/numbers.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK = 4096;  // elements of a row that are read twice: 16 KiB of floats, half of the L1 cache
constexpr int64_t STRIP = 256;   // rows of a strip; it is read twice in blocks of
constexpr int64_t DEPTH = 16;    // classes, again 16 KiB

// A tensor cut into pieces by its shape alone: some whole rows, or a strip of rows.
struct Pieces {
  int64_t outer, classes, inner, rows, strips, count;

  Pieces(int64_t outer, int64_t classes, int64_t inner) : outer(outer), classes(classes), inner(inner) {
    rows = inner == 1 ? 1 + BLOCK / (classes + 1) : 1;
    strips = ceil_div(inner, STRIP);
    count = ceil_div(outer, rows) * strips;
  }

  // row(piece, first element, number of the row), for rows that lie in order
  template <class Row>
  void for_each_row(const Row& row, bool flush_to_zero = true) const {
    for_each(
        [&](int64_t piece) {
          for (int64_t i = piece * rows; i < min((piece + 1) * rows, outer); i++) row(piece, i * classes, i);
        },
        flush_to_zero);
  }
  // strip(piece, first element, number of the first row, rows), for those that do not
  template <class Strip>
  void for_each_strip(const Strip& strip, bool flush_to_zero = true) const {
    for_each(
        [&](int64_t piece) {
          const int64_t i = piece / strips, j = piece % strips * STRIP;
          strip(piece, i * classes * inner + j, i * inner + j, min(inner - j, STRIP));
        },
        flush_to_zero);
  }

 private:
  template <class F>
  void for_each(const F& f, bool flush_to_zero) const {
    const int64_t width = min(inner, STRIP);
    parallel_for(0, count, 1 + GRAIN / 2 / (rows * width * classes + 1), [&](int64_t begin, int64_t end) {
      const FlushToZero flush(flush_to_zero);
      for (int64_t piece = begin; piece < end; piece++) f(piece);
      finish_writes();
    });
  }
};

// ---- a row in order in memory -------------------------------------------------------------------------------------------

template <class A>
using integer = std::conditional_t<sizeof(A) == 4, int32_t, int64_t>;  // as many in a register as numbers of type A

// Sum of value(i, load) over [0, n): blocks in the type that is computed in, their sums in double.
template <class T, class Value>
SN_INLINE double sum_of(int64_t n, const Value& value) {
  using A = acc_t<T>;
  double sum = 0;
  for (int64_t i = 0; i < n; i += BLOCK)
    sum += sum_block<A, 1>(i, min(i + BLOCK, n), [&](int64_t j, auto get) SN_LAMBDA_INLINE {
             return Terms<A, 1>{value(j, get)};
           }).v[0];
  return sum;
}

// The largest of x[begin] to x[end - 1]; NaN, if one is there.
template <class T>
SN_INLINE acc_t<T> largest(const T* x, int64_t begin, int64_t end) {
  using A = acc_t<T>;
  vec<A> part[ACCUMULATORS][1];
  for (auto& p : part) p[0] = splat(A(-INFINITY));
  fold<A, 1>(
      part, begin, end, -INFINITY, [&](int64_t i, auto get) SN_LAMBDA_INLINE { return Terms<A, 1>{get(x + i)}; },
      [](auto a, auto b) SN_LAMBDA_INLINE { return vmax(a, b); });
  return vmax_lanes(vmax(vmax(part[0][0], part[1][0]), vmax(part[2][0], part[3][0])));
}

template <class A>
struct Statistics {
  A max;
  double sum;  // of exp(x - max)

  double log_sum() const { return log(sum); }
  // Its own case for an infinite maximum: inf - inf would be NaN.
  double logsumexp() const { return isinf(max) ? max : max + log_sum(); }
};

// Block by block: its maximum while it comes from memory, its sum while it is in the L1 cache and the next block is on its way.
template <class T>
Statistics<acc_t<T>> statistics(const T* x, int64_t n) {
  using A = acc_t<T>;
  A max = -INFINITY;
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const int64_t end = min(begin + BLOCK, n);
    const A block = largest(x, begin, end);
    const A next = block > max || isnan(block) ? block : max;
    const A shift = next == -INFINITY ? 0 : next;
    if (sum != 0 && next != max) sum *= exp(double(max) - next);
    sum += sum_block<A, 1>(begin, end, [&](int64_t i, auto get) SN_LAMBDA_INLINE {
             __builtin_prefetch(x + i + BLOCK);
             return Terms<A, 1>{vexp(get(x + i) - shift)};
           }).v[0];
    max = next;
  }
  return {max, max == -INFINITY ? NAN : sum};  // a row of -inf alone has no softmax
}

// The same of at most BLOCK numbers; writes exp(x - max) to e, which has room for a register more.
template <class T>
Statistics<acc_t<T>> statistics(const T* x, int64_t n, acc_t<T>* e) {
  using A = acc_t<T>;
  const A max = largest(x, 0, n), shift = max == -INFINITY ? 0 : max;
  const double sum = sum_block<A, 1>(0, n, [&](int64_t i, auto get) SN_LAMBDA_INLINE {
                       __builtin_prefetch(x + i + n);  // the next row, while the exponentials take their time
                       const vec<A> v = vexp(get(x + i) - shift);
                       store(e + i, v);
                       return Terms<A, 1>{v};
                     }).v[0];
  return {max, max == -INFINITY ? NAN : sum};
}

// ---- a strip of rows: element (c, j) at x[c * stride + j], j < width ------------------------------------------------------

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

// ---- which of two rungs computes a call ---------------------------------------------------------------------------------

// inner, from the arguments of a table's function: the last one; cross-entropy has it among its targets.
template <class... Rest>
int64_t inner_of(const Targets& to, const Rest&...) {
  return to.positions;
}
template <class First, class... Rest>
int64_t inner_of(const First& first, const Rest&... rest) {
  if constexpr (sizeof...(rest) > 0) return inner_of(rest...);
  else return first;
}

}  // namespace
}  // namespace scratchnet

// SN_TYPED for tensors of one layout, inner == 1 or inner != 1; the others are left to a table below.
#define SN_LAYOUT(condition, function, below)                                                       \
  [](const On& on, auto... arguments) {                                                             \
    if (!(::scratchnet::inner_of(arguments...) condition)) return below.function(on, arguments...); \
    SN_FLOATS(on.dtype, return function<T>(::scratchnet::typed(arguments)...))                      \
    __builtin_unreachable();                                                                        \
  }
