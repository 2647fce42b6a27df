// The largest entries of the windows of one plane: along the rows first, then down the columns.
//
// A row is dealt out to `stride` hands, hand h holding the entries h, h + stride, ... of the padded row. Tap k of neighbouring
// windows then lies in one hand, side by side, for any stride: a register takes as many windows.
#pragma once
#include "memory.h"
#include "pool2d.h"
#include "simd.h"

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
  int64_t width;    // outputs of a row, rounded up to whole registers
  int64_t pitch;    // size of a hand
  A* hands;         // (columns.stride, pitch): a row of x, dealt out; what lies outside stays -infinity
  int64_t* tap;     // (columns.kernel): where the entries of tap k begin in the hands
  int_t<A>*first, *start;  // (width): the column of a window's first tap inside, and of its tap 0
  A* best;          // (rows.in, width): the largest entry of the windows' part of each row
  int_t<A>* at;     // (rows.in, width): its column

  MaxPool(const Axis& rows, const Axis& columns) : rows(rows), columns(columns) {
    width = (columns.out + lanes<A> - 1) / lanes<A> * lanes<A>;
    pitch = width + (columns.kernel - 1) * columns.dilation / columns.stride + 1;
    hands = allocate<A>(columns.stride * pitch), tap = allocate<int64_t>(columns.kernel);
    first = allocate<int_t<A>>(width), start = allocate<int_t<A>>(width);
    best = allocate<A>(rows.in * width), at = allocate<int_t<A>>(rows.in * width);
    for (int64_t i = 0; i < columns.stride * pitch; i++) hands[i] = -__builtin_inf();
    for (int64_t k = 0; k < columns.kernel; k++) {
      const int64_t i = k * columns.dilation;
      tap[k] = i % columns.stride * pitch + i / columns.stride;
    }
    for (int64_t q = 0; q < width; q++) {
      const int64_t o = q < columns.out ? q : columns.out - 1;
      first[q] = columns.first(o), start[q] = columns.tap(o, 0);
    }
  }
  MaxPool(const MaxPool&) = delete;
  ~MaxPool() { release(hands), release(tap), release(first), release(start), release(best), release(at); }

  // stride: columns.stride, known to the compiler if it is a usual one
  template <class T>
  SN_INLINE void deal(const T* x, int64_t stride) {
    for (int64_t h = 0; h < stride; h++) {
      const int64_t j = ((h - columns.padding) % stride + stride) % stride, to = (j + columns.padding) / stride;
      const int64_t fit = pitch - to, there = (columns.in - j + stride - 1) / stride, n = there < fit ? there : fit;
      A* hand = hands + h * pitch + to;
      for (int64_t i = 0; i < n; i++) hand[i] = load1(x + j + i * stride);
    }
  }

  template <class T>
  void along_row(const T* x, int64_t i) {
    columns.stride == 1 ? deal(x, 1) : columns.stride == 2 ? deal(x, 2) : deal(x, columns.stride);
    for (int64_t q = 0; q < width; q += lanes<A>) {
      vec<A> top = splat(A(-__builtin_inf()));
      ints<A> column = load_ints<A>(first + q);
      const ints<A> begin = load_ints<A>(start + q);
      for (int64_t k = 0; k < columns.kernel; k++) {
        const vec<A> v = load(hands + tap[k] + q);
        const ints<A> won = wins<A>(v, top);
        top = won ? v : top;
        column = won ? begin + int_t<A>(k * columns.dilation) : column;
      }
      store(best + i * width + q, top);
      memcpy(at + i * width + q, &column, sizeof column);
    }
  }

  template <class T>
  void down_columns(int64_t o, T* y, int64_t* index) const {
    typedef int64_t Wide __attribute__((vector_size(lanes<A> * 8)));
    const int64_t first_row = rows.first(o);
    for (int64_t q = 0; q < columns.out; q += lanes<A>) {
      vec<A> top = splat(A(-__builtin_inf()));
      ints<A> row = ints<A>{} + int_t<A>(first_row), column = load_ints<A>(at + first_row * width + q);
      for (int64_t k = 0; k < rows.kernel; k++) {
        const int64_t i = rows.tap(o, k);
        if (!rows.inside(i)) continue;
        const vec<A> v = load(best + i * width + q);
        const ints<A> won = wins<A>(v, top);
        top = won ? v : top;
        row = won ? ints<A>{} + int_t<A>(i) : row;
        column = won ? load_ints<A>(at + i * width + q) : column;
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
