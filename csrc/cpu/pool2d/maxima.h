// The largest entries of the windows' parts of each row of a plane, and down the columns, where a register takes as many
// windows.
#pragma once
#include "cpu/memory.h"
#include "cpu/simd.h"
#include "ops/pool2d.h"

namespace scratchnet {
namespace {

template <class A>
struct IntOf {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};
template <class A>
using int_t = typename IntOf<A>::type;  // as wide as A
template <class A>
using ints = typename Simd<A>::I;

template <class A>
SN_INLINE ints<A> load_ints(const int_t<A>* p) {
  ints<A> v;
  memcpy(&v, p, sizeof v);
  return v;
}

// The first of equals wins, but a later NaN wins over all: the order of torch's loop over a window.
template <class A>
SN_INLINE ints<A> wins(vec<A> v, vec<A> best) {
  return (v > best) | (v != v);
}

// Largest entries of one row after another, and their columns: numbers and places are equally wide, so that one comparison
// serves both. Every thread has its own.
template <class A>
struct Maxima {
  const Axis &rows, &columns;
  const int64_t width;                // outputs of a row, rounded up to whole registers
  const Scratch<A> best;              // (rows.in, width): the largest entry of the windows' part of each row
  const Scratch<int_t<A>> column_of;  // (rows.in, width): its column

  Maxima(const Axis& rows, const Axis& columns)
      : rows(rows), columns(columns), width(round_up(columns.out, lanes<A>)), best(rows.in, width), column_of(rows.in, width) {}

  template <class T>
  void down_columns(int64_t o, T* y, int64_t* index) const {
    typedef int64_t Wide __attribute__((vector_size(lanes<A> * 8)));
    const int64_t first_row = rows.first(o);
    for (int64_t q = 0; q < columns.out; q += lanes<A>) {
      vec<A> top = splat(A(-__builtin_inf()));
      ints<A> row = ints<A>{} + int_t<A>(first_row), column = load_ints<A>(column_of.at(first_row * width + q, lanes<A>));
      for (int64_t k = 0; k < rows.kernel; k++) {
        const int64_t i = rows.tap(o, k);
        if (!rows.inside(i)) continue;
        const vec<A> v = load(best.at(i * width + q, lanes<A>));
        const ints<A> won = wins<A>(v, top);
        top = won ? v : top;
        row = won ? ints<A>{} + int_t<A>(i) : row;
        column = won ? load_ints<A>(column_of.at(i * width + q, lanes<A>)) : column;
      }
      const Wide place = __builtin_convertvector(row, Wide) * columns.in + __builtin_convertvector(column, Wide);
      if (const int64_t n = columns.out - q; n >= lanes<A>) {
        store(y + q, top);
        memcpy(index + q, &place, sizeof place);
      } else {
        store_tail(y + q, top, n);
        memcpy(index + q, &place, n * 8);
      }
    }
  }
};

}  // namespace
}  // namespace scratchnet
