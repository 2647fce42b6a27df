// The largest entries of the windows of one plane: along the rows first, then down the columns.
//
// A row is dealt out into `stride` hands: hand h holds the entries h, h + stride, ... of the padded row. Tap k of neighbouring
// windows then lies in one hand, side by side, for any stride: a register takes as many windows.
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

// Everything of a call that is the same for all planes; every thread has its own for what a plane needs.
template <class A>
struct MaxPool {
  const Axis &rows, &columns;
  const int64_t width;                   // outputs of a row, rounded up to whole registers
  const int64_t pitch;                   // size of a hand
  const Scratch<A> hands;                // (some, pitch): a row of x, dealt out; what lies outside stays -infinity
  const Scratch<int64_t> tap;            // (columns.kernel): where the entries of tap k begin in the hands
  const Scratch<int_t<A>> first, start;  // (width): the column of a window's first tap inside, and of its tap 0
  const Scratch<A> best;                 // (rows.in, width): the largest entry of the windows' part of each row
  const Scratch<int_t<A>> column_of;     // (rows.in, width): its column

  MaxPool(const Axis& rows, const Axis& columns)
      : rows(rows),
        columns(columns),
        width(round_up(columns.out, lanes<A>)),
        pitch(width + (columns.kernel - 1) * columns.dilation / columns.stride + 1),
        hands(some(), pitch),
        tap(columns.kernel),
        first(width),
        start(width),
        best(rows.in, width),
        column_of(rows.in, width) {
    for (int64_t i = 0; i < hands.size; i++) hands[i] = -__builtin_inf();
    for (int64_t k = 0; k < columns.kernel; k++) {
      const int64_t i = k * columns.dilation;
      tap[k] = i % columns.stride * pitch + i / columns.stride;
    }
    for (int64_t q = 0; q < width; q++) {
      const int64_t o = q < columns.out ? q : columns.out - 1;
      first[q] = columns.first(o), start[q] = columns.tap(o, 0);
    }
  }
  // Hands that any window takes from: a stride may be larger than the window.
  int64_t some() const { return min(columns.stride, (columns.kernel - 1) * columns.dilation + 1); }

  // stride: columns.stride, known to the compiler if it is a usual one
  template <class T>
  SN_INLINE void deal(const T* x, int64_t stride) {
    for (int64_t h = 0; h < min(stride, some()); h++) {
      const int64_t j = ((h - columns.padding) % stride + stride) % stride, to = (j + columns.padding) / stride;
      const int64_t fit = pitch - to, there = ceil_div(max(0, columns.in - j), stride), n = min(there, fit);
      A* hand = hands.at(h * pitch + to, n);
      for (int64_t i = 0; i < n; i++) hand[i] = load1(x + j + i * stride);
    }
  }

  template <class T>
  void along_row(const T* x, int64_t i) {
    columns.stride == 1 ? deal(x, 1) : columns.stride == 2 ? deal(x, 2) : deal(x, columns.stride);
    for (int64_t q = 0; q < width; q += lanes<A>) {
      vec<A> top = splat(A(-__builtin_inf()));
      ints<A> column = load_ints<A>(first.at(q, lanes<A>));
      const ints<A> begin = load_ints<A>(start.at(q, lanes<A>));
      for (int64_t k = 0; k < columns.kernel; k++) {
        const vec<A> v = load(hands.at(tap[k] + q, lanes<A>));
        const ints<A> won = wins<A>(v, top);
        top = won ? v : top;
        column = won ? begin + int_t<A>(k * columns.dilation) : column;
      }
      store(best.at(i * width + q, lanes<A>), top);
      memcpy(column_of.at(i * width + q, lanes<A>), &column, sizeof column);
    }
  }

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
