// Pooling, rung 2: along one axis, then along the other, k + k steps per window instead of k * k; SIMD, threads.
//
//   max forward    reads x, writes y and index;      backward  reads grad and index, writes dx
//   avg forward    reads x, writes y;                backward  reads grad, writes dx
//
// Maximum: in max.h. Average: the transpose of a window sum is one too, so both directions are the same sums over other spans.
// A plane belongs to one thread: the same bits for any number of threads.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "cpu/row_sums.h"
#include "max.h"

namespace scratchnet {
namespace {

int64_t grain(int64_t plane) { return 1 + GRAIN / 2 / (plane + 1); }  // planes of x that are worth a thread

// ---- maximum ------------------------------------------------------------------------------------------------------------

template <class T>
void max_forward(const T* x, T* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns) {
  const int64_t in = rows.in * columns.in, out = rows.out * columns.out;
  parallel_for(0, planes, grain(in), [&](int64_t begin, int64_t end) {
    MaxPool<acc_t<T>> pool(rows, columns);
    for (int64_t p = begin; p < end; p++) {
      for (int64_t i = 0; i < rows.in; i++) pool.along_row(x + p * in + i * columns.in, i);
      for (int64_t o = 0; o < rows.out; o++) {
        const int64_t to = p * out + o * columns.out;
        pool.down_columns(o, y + to, index + to);
      }
    }
  });
}

template <class T>
bool max_backward(const T* grad, const int64_t* index, T* dx, int64_t planes, int64_t in, int64_t out) {
  using A = acc_t<T>;
  bool wrong = false;
  parallel_for(0, planes, grain(in), [&](int64_t begin, int64_t end) {
    const Scratch<A> sum(in);
    for (int64_t p = begin; p < end; p++) {
      fill_zeros(sum);
      for (int64_t o = p * out; o < (p + 1) * out; o++) {
        if (uint64_t(index[o]) >= uint64_t(in)) {
          __atomic_store_n(&wrong, true, __ATOMIC_RELAXED);
          break;
        }
        sum[index[o]] += load1(grad + o);
      }
      map<T>(0, in, [&](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(dx + p * in + i, get(sum.data() + i)); });
    }
  });
  return !wrong;
}

// ---- average ------------------------------------------------------------------------------------------------------------

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

// y[q] = the sum of x over span q; all spans of `size` entries, or of any size if that is 0
template <class A>
void sum_spans(const A* x, A* y, const Spans& spans, int64_t size) {
  const int64_t* at = spans.begin;
  if (size == 1)
    for (int64_t q = 0; q < spans.out; q++) y[q] = x[at[q]];
  else if (size == 2)
    for (int64_t q = 0; q < spans.out; q++) y[q] = x[at[q]] + x[at[q] + 1];
  else if (size == 3)
    for (int64_t q = 0; q < spans.out; q++) y[q] = x[at[q]] + x[at[q] + 1] + x[at[q] + 2];
  else
    for (int64_t q = 0; q < spans.out; q++) y[q] = sum_of(x + at[q], spans.end[q] - at[q]);
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
  const Scratch<A> divisor(divisors);
  for (int64_t j = 0; j < divisors; j++) divisor[j] = A(column_divisor[j]);
  parallel_for(0, planes, grain(rows.in * width), [&](int64_t begin, int64_t end) {
    const Scratch<A> line(width), sums(columns.out);
    for (int64_t p = begin; p < end; p++)
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
          sum_spans(line.data(), sums.data(), columns, size);
        }
        T* to = y + (p * rows.out + o) * columns.out;
        map<T>(0, columns.out, [&](int64_t q, auto get, auto put) SN_LAMBDA_INLINE {
          const vec<A> sum = get(sums.data() + q);
          put(to + q, back ? sum : sum / (get(divisor.data() + q) * A(row_divisor[o])));
        });
      }
  });
}

constexpr int64_t PIECE = 4096;

// One window as large as the plane needs neither lines nor columns.
bool fills(const Spans& s) { return s.out == 1 && s.begin[0] == 0 && s.end[0] == s.in; }

template <class T>
void avg_forward(const T* x, T* y, int64_t planes, const Spans& rows, const Spans& columns) {
  using A = acc_t<T>;
  if (!fills(rows) || !fills(columns)) return window_sums<T, false>(x, y, planes, rows, columns, rows.divisor, columns.divisor);
  const int64_t n = rows.in * columns.in;
  const A divisor = *rows.divisor * *columns.divisor;
  parallel_for(0, planes, grain(n), [=](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) {
      const T* plane = x + p * n;
      double sum = 0;  // of pieces that are short enough for float: a plane may have millions of entries
      for (int64_t i = 0; i < n; i += PIECE)
        sum += sum_block<A, 1>(i, min(i + PIECE, n), [plane](int64_t j, auto get) SN_LAMBDA_INLINE {
                 return Terms<A, 1>{get(plane + j)};
               }).v[0];
      store1(y + p, A(sum / divisor));
    }
  });
}

// Of every entry the windows that cover it: neighbours, because spans do not decrease.
struct Covering {
  const Scratch<int64_t> first, last;
  const Spans spans;

  explicit Covering(const Spans& s) : first(s.in), last(s.in), spans{s.out, s.in, first.data(), last.data(), nullptr} {
    for (int64_t i = 0, begin = 0, end = 0; i < s.in; i++) {
      while (begin < s.out && s.end[begin] <= i) begin++;
      while (end < s.out && s.begin[end] <= i) end++;
      first[i] = begin, last[i] = max(begin, end);
    }
  }
};

template <class T>
void avg_backward(const T* grad, T* dx, int64_t planes, const Spans& rows, const Spans& columns) {
  if (fills(rows) && fills(columns)) {
    const int64_t n = rows.in * columns.in;
    const acc_t<T> divisor = *rows.divisor * *columns.divisor;
    return parallel_for(0, planes, grain(n), [=](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; p++)
        map<T>(0, n, [=, share = splat(load1(grad + p) / divisor)](int64_t i, auto, auto put) SN_LAMBDA_INLINE {
          put(dx + p * n + i, share);
        });
    });
  }
  const Covering r(rows), c(columns);
  window_sums<T, true>(grad, dx, planes, r.spans, c.spans, rows.divisor, columns.divisor);
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_2) = {
    SN_TYPED(max_forward),
    SN_TYPED(max_backward),
    SN_TYPED(avg_forward),
    SN_TYPED(avg_backward),
};

}  // namespace scratchnet
