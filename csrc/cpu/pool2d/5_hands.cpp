// Pooling, rung 5: maxima along the rows a register at a time too.
//
// A row is dealt out into `stride` hands: hand h holds the entries h, h + stride, ... of the padded row. Tap k of neighbouring
// windows then lies in one hand, side by side, for any stride: a register takes as many windows.
#include "cpu/ladder.h"
#include "maxima.h"

namespace scratchnet {
namespace {

// What is the same for all rows of a call, and room for one row.
template <class A>
struct Hands {
  const Axis& columns;
  const int64_t width;                   // that of Maxima
  const int64_t pitch;                   // size of a hand
  const Scratch<A> hands;                // (some, pitch): a row of x, dealt out; what lies outside stays -infinity
  const Scratch<int64_t> tap;            // (columns.kernel): where the entries of tap k begin in the hands
  const Scratch<int_t<A>> first, start;  // (width): the column of a window's first tap inside, and of its tap 0

  explicit Hands(const Maxima<A>& of)
      : columns(of.columns),
        width(of.width),
        pitch(width + (columns.kernel - 1) * columns.dilation / columns.stride + 1),
        hands(some(), pitch),
        tap(columns.kernel),
        first(width),
        start(width) {
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
  void along_row(const T* x, int64_t i, const Maxima<A>& to) {
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
      store(to.best.at(i * width + q, lanes<A>), top);
      memcpy(to.column_of.at(i * width + q, lanes<A>), &column, sizeof column);
    }
  }
};

template <class T>
void max_forward(const T* x, T* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns) {
  const Maxima<acc_t<T>> maxima(rows, columns);
  Hands<acc_t<T>> hands(maxima);
  for (int64_t p = 0; p < planes; p++) {
    for (int64_t i = 0; i < rows.in; i++) hands.along_row(x + (p * rows.in + i) * columns.in, i, maxima);
    for (int64_t o = 0; o < rows.out; o++) {
      const int64_t to = (p * rows.out + o) * columns.out;
      maxima.down_columns(o, y + to, index + to);
    }
  }
}

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_5) = {
    SN_TYPED(max_forward),
    SN_FROM(pool2d_kernels(4), max_backward),
    SN_FROM(pool2d_kernels(3), avg_forward),
    SN_FROM(pool2d_kernels(3), avg_backward),
};

}  // namespace scratchnet
