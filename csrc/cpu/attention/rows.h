// What is done to a row of a block of scores, a register at a time: products to scores, scores to exponentials.
//
// Of the numbers of a row only those that its query sees hold something: the others become 0, for they meet others in products.
#pragma once
#include <utility>

#include "cpu/simd.h"
#include "tiles.h"

namespace scratchnet {
namespace {

template <class A, int S, int... L>
SN_INLINE vec<A> swapped(vec<A> v, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(v, v, (L ^ S)...);
}
// The largest lane. A NaN may be lost: what is computed from it is NaN all the same.
template <class A, int S = lanes<A> / 2>
SN_INLINE A largest_lane(vec<A> v) {
  v = at_least(v, swapped<A, S>(v, std::make_integer_sequence<int, lanes<A>>()));
  if constexpr (S > 1) return largest_lane<A, S / 2>(v);
  else return v[0];
}

template <class A>
SN_INLINE void set(A* row, int64_t begin, int64_t end, A value) {
  for (int64_t j = begin; j < end; j++) row[j] = value;
}

// A query's row of a block.
template <class T>
struct Row {
  using A = acc_t<T>;
  const Attention& p;
  const int64_t b, h, i, j;           // of the query, and of the first key
  const Span seen;                    // in the row
  const int64_t columns, begin, end;  // whole registers: from `begin` to `end`

  Row(const Attention& p, int64_t b, int64_t h, const Block& block, int64_t r)
      : p(p),
        b(b),
        h(h),
        i(block.i + r),
        j(block.j),
        seen(block.keys_of(r, 1)),
        columns(block.columns),
        begin(seen.begin / lanes<A> * lanes<A>),
        end(round_up(seen.end, lanes<A>)) {}

  bool empty() const { return seen.begin >= seen.end; }
  // What is not seen is `inside` in the registers that hold something that is, else 0.
  void clear(A* row, A inside) const {
    if (seen.begin == 0 && seen.end == columns && end == columns) return;
    set(row, 0, empty() ? columns : begin, A(0));
    if (empty()) return;
    set(row, begin, seen.begin, inside), set(row, seen.end, end, inside);
    set(row, end, columns, A(0));
  }

  // Scores from products of scaled queries, in place; and the derivative of the softcap, if there is one.
  void finish(A* s, A* slope = nullptr) const {
    const A cap = A(p.softcap);
    for (int64_t n = begin; cap > 0 && n < end; n += lanes<A>) {
      const vec<A> t = vtanh(load(s + n) / cap);
      store(s + n, cap * t);
      if (slope) store(slope + n, 1 - t * t);
    }
    if (!p.mask.data) return;
    const int64_t at = p.mask.offset(b, h, i) + j * p.mask.column;
    if (p.boolean) hide(s, (const uint8_t*)p.mask.data + at);
    else if (p.mask.column == 1) add<true>(s, (const T*)p.mask.data + at);
    else add<false>(s, (const T*)p.mask.data + at);
  }

  // z of dropout: 0 where it takes a probability away.
  void factors(A* z) const {
    const Dropout dropout(p.dropout);
    const uint64_t key = dropout_key(*p.seed, p.row(b, h, i));
    const uint32_t first = uint32_t(j + seen.begin), count = uint32_t(seen.end - seen.begin);
    const A scale = A(dropout.scale);
    z += seen.begin;
    for (uint32_t n = 0; n < count; n++) z[n] = dropout_bits(key, first + n) >= dropout.threshold ? scale : 0;
  }

 private:
  void hide(A* s, const uint8_t* mask) const {
    if (p.mask.column == 1)
      for (int64_t n = seen.begin; n < seen.end; n++) s[n] = mask[n] ? s[n] : -INFINITY;
    else
      for (int64_t n = seen.begin; n < seen.end; n++) s[n] = mask[n * p.mask.column] ? s[n] : -INFINITY;
  }
  template <bool IN_ORDER>
  void add(A* s, const T* mask) const {
    for (int64_t n = seen.begin; n < seen.end; n++) s[n] += load1(mask + n * (IN_ORDER ? 1 : p.mask.column));
  }
};

// Whether a score is the product and nothing else.
inline bool plain(const Attention& p) { return !p.mask.data && p.softcap <= 0; }

// Products -> z exp(s - m), where m, the largest score so far, and l, the sum of exp(s - m), are those of all blocks up to
// this one. Returns what l and the sums of values before were multiplied by.
template <class T>
acc_t<T> exponentials(const Row<T>& row, acc_t<T>* s, acc_t<T>& m, acc_t<T>& l) {
  using A = acc_t<T>;
  if (!plain(row.p)) row.finish(s);
  row.clear(s, -INFINITY);
  if (row.empty()) return 1;
  vec<A> most[2] = {splat(A(-INFINITY)), splat(A(-INFINITY))};
  for (int64_t n = row.begin; n < row.end; n += lanes<A>) {
    most[0] = at_least(load(s + n), most[0]);
    std::swap(most[0], most[1]);
  }
  const A largest = largest_lane<A>(at_least(most[0], most[1]));
  const A next = m > largest ? m : largest, shift = next == -INFINITY ? 0 : next;
  vec<A> sum = {};
  for (int64_t n = row.begin; n < row.end; n += lanes<A>) {
    const vec<A> e = vexp(load(s + n) - shift);
    store(s + n, e);
    sum += e;
  }
  const A shrink = m == next ? 1 : m == -INFINITY ? 0 : exp(m - next);
  l = l * shrink + vsum(sum);
  m = next;
  if (row.p.seed) {
    A z[KEYS];
    row.factors(z);
    for (int64_t n = row.seen.begin; n < row.seen.end; n++) s[n] *= z[n];
  }
  return shrink;
}

}  // namespace
}  // namespace scratchnet
