// Pooling, rung 3: averages a register at a time.
//
// Down the columns neighbouring windows are neighbours, and a register takes as many of them; along the rows they are with a
// stride of one. Other sums of two or three entries are left to the compiler; only long spans are worth registers.
#include "cpu/ladder.h"
#include "cpu/simd.h"
#include "spans.h"

namespace scratchnet {
namespace {

constexpr int64_t ROWS_AT_A_TIME = 4;

template <class A>
SN_INLINE A sum_of(const A* p, int64_t n) {
  if (n < lanes<A>) {
    A sum = 0;
    for (int64_t i = 0; i < n; i++) sum += p[i];
    return sum;
  }
  vec<A> sum = {}, lane;
  int64_t i = 0;
  for (; i + lanes<A> <= n; i += lanes<A>) sum += load(p + i);
  if (i < n) {  // the last register again, without what was already added: a partial load costs more than so short a sum
    for (int64_t j = 0; j < lanes<A>; j++) lane[j] = A(j);
    sum += lane >= A(lanes<A> - (n - i)) ? load(p + n - lanes<A>) : vec<A>{};
  }
  return vsum(sum);
}

// The longest run of windows of one size that begin one entry apart.
struct Run {
  int64_t first = 0, last = 0, size = 0;

  explicit Run(const Spans& s) {
    for (int64_t q = 0, from = 0; q < s.out; q++) {
      if (s.begin[q] - s.begin[from] != q - from || s.end[q] - s.end[from] != q - from) from = q;
      if (q - from >= last - first) first = from, last = q + 1, size = s.end[q] - s.begin[q];
    }
  }
};

// y[q] = the sum of x over span q; all spans of `size` entries, or of any size if that is 0
template <class A>
void sum_spans(const A* x, A* y, const Spans& spans, int64_t size, const Run& run) {
  const int64_t* at = spans.begin;
  const auto others = [&](int64_t first, int64_t last) {
    for (int64_t q = first; q < last; q++) y[q] = sum_of(x + at[q], spans.end[q] - at[q]);
  };
  if (2 * (run.last - run.first) >= spans.out) {
    map<A>(run.first, run.last, [&](int64_t q, auto get, auto put) SN_LAMBDA_INLINE {
      vec<A> sum = {};
      for (int64_t i = at[q]; i < at[q] + run.size; i++) sum += get(x + i);
      put(y + q, sum);
    });
    others(0, run.first), others(run.last, spans.out);
  } else if (size == 1)
    for (int64_t q = 0; q < spans.out; q++) y[q] = x[at[q]];
  else if (size == 2)
    for (int64_t q = 0; q < spans.out; q++) y[q] = x[at[q]] + x[at[q] + 1];
  else if (size == 3)
    for (int64_t q = 0; q < spans.out; q++) y[q] = x[at[q]] + x[at[q] + 1] + x[at[q] + 2];
  else others(0, spans.out);
}

int64_t common_size(const Spans& spans) {
  const int64_t size = spans.out ? spans.end[0] - spans.begin[0] : 0;
  for (int64_t q = 0; q < spans.out; q++)
    if (spans.end[q] - spans.begin[q] != size) return 0;
  return size;
}

// The sums of x over the spans, each divided by its divisor; or, on the way back, of x's entries, each divided by its own
// first.
template <class T, bool back>
void window_sums(const T* x, T* y, int64_t planes, const Spans& rows, const Spans& columns, const double* row_divisor,
                 const double* column_divisor) {
  using A = acc_t<T>;
  const int64_t width = columns.in, divisors = back ? columns.in : columns.out, size = common_size(columns);
  const Run run(columns);
  const Scratch<A> divisor(divisors);
  for (int64_t j = 0; j < divisors; j++) divisor[j] = A(column_divisor[j]);
  const Scratch<A> line(width), sums(columns.out);
  for (int64_t p = 0; p < planes; p++)
    for (int64_t o = 0; o < rows.out; o++) {
      const int64_t top = rows.begin[o], bottom = rows.end[o];
      if (o == 0 || top != rows.begin[o - 1] || bottom != rows.end[o - 1]) {  // else the sums are those of the row above
        // A few rows at a time: down the columns of all, each register would come from a page of its own.
        for (int64_t first = top; first == top || first < bottom; first += ROWS_AT_A_TIME)
          map<T>(0, width, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
            vec<A> sum = {};
            if (first > top) sum = get(line.data() + j);
            for (int64_t i = first; i < min(first + ROWS_AT_A_TIME, bottom); i++) {
              const vec<A> v = get(x + (p * rows.in + i) * width + j);
              sum += back ? v / (get(divisor.data() + j) * A(row_divisor[i])) : v;
            }
            put(line.data() + j, sum);
          });
        sum_spans(line.data(), sums.data(), columns, size, run);
      }
      T* to = y + (p * rows.out + o) * columns.out;
      map<T>(0, columns.out, [&](int64_t q, auto get, auto put) SN_LAMBDA_INLINE {
        const vec<A> sum = get(sums.data() + q);
        put(to + q, back ? sum : sum / (get(divisor.data() + q) * A(row_divisor[o])));
      });
    }
}

template <class T>
void avg_forward(const T* x, T* y, int64_t planes, const Spans& rows, const Spans& columns) {
  window_sums<T, false>(x, y, planes, rows, columns, rows.divisor, columns.divisor);
}

template <class T>
void avg_backward(const T* grad, T* dx, int64_t planes, const Spans& rows, const Spans& columns) {
  const Covering r(rows), c(columns);
  window_sums<T, true>(grad, dx, planes, r.spans, c.spans, rows.divisor, columns.divisor);
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_3) = {
    SN_FROM(pool2d_kernels(2), max_forward),
    SN_FROM(pool2d_kernels(1), max_backward),
    SN_TYPED(avg_forward),
    SN_TYPED(avg_backward),
};

}  // namespace scratchnet
