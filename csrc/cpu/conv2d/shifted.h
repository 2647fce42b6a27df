// Shifted images: the rows of the unfolded matrix without the matrix.
//
// A convolution and both of its gradients are sums over terms t = (channel, tap), of numbers that belong to the term times
//
//   image[channel][stride Y + shift_y(t)][stride X + shift_x(t)]      for all outputs (Y, X), 0 outside of the image
//
// A piece of the image is copied into a frame of zeros, its rows and columns sorted by their residue modulo the stride. There,
// the numbers of one term for neighbouring outputs are neighbours too: at offset[t] + Y * width + X, the same image seen from
// another place. Between two rows lie a few numbers that belong to no output; they cost little, and
// their sums are not stored. The zeros of the frame take part in the sums like all other numbers: 0 times infinity is NaN.
#pragma once
#include <utility>

#include "cpu/matmul/tile.h"
#include "cpu/memory.h"
#include "ops/conv2d.h"

namespace scratchnet {
namespace {

constexpr int64_t POSITIONS = 256;  // outputs whose sums are made together, at least

// One axis: tap k of output `at` meets in[stride * at + shift + k * shift_step] and kernel[index + k * index_step].
struct Axis {
  int64_t in, out, stride, kernel, taps, shift, shift_step, index, index_step;

  int64_t lowest() const { return min(shift, shift + (taps - 1) * shift_step); }
  int64_t reach() const { return taps ? (taps - 1) * (shift_step < 0 ? -shift_step : shift_step) : 0; }
  int64_t above_lowest(int64_t tap) const { return shift + tap * shift_step - lowest(); }
};

// The forward sum: y[at] takes x[stride at - padding + k dilation].
inline Axis forward_axis(const Conv2dSizes& size, int i) {
  return {size.in[i], size.out[i], size.stride[i], size.kernel[i], size.kernel[i], -size.padding[i], size.dilation[i], 0, 1};
}

// Numbers 0, 2, 4, ... of two registers.
template <class A, int... L>
SN_INLINE vec<A> even(vec<A> a, vec<A> b, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(a, b, 2 * L...);
}

// How a piece for block[0] x block[1] outputs is laid out: (channels, residues of y, residues of x, height, width).
struct Views {
  Axis y, x;
  // channel: numbers from one to the next; tail: zeros at its end; last: the largest offset
  int64_t block[2], residues[2], height, width, channel, tail = 0, last = 0;
  Scratch<int64_t> offset, place;  // of every term; of every tap in the kernel

  // About `outputs` of them in a block.
  Views(const Axis& y, const Axis& x, int64_t channels, int64_t outputs)
      : y(y), x(x), offset(product_of(channels, taps())), place(taps()) {
    constexpr int64_t LONGEST = 1024;  // part of a row in a block
    residues[0] = min(y.stride, y.reach() + 1), residues[1] = min(x.stride, x.reach() + 1);
    block[1] = piece(x.out, LONGEST, 1), width = block[1] + x.reach() / x.stride;
    // The zeros behind a row are those before the next one.
    const int64_t before = max(0, -x.lowest()), behind = max(0, x.out + x.reach() + x.lowest() - x.in);
    const bool shared = x.stride == 1 && block[1] == x.out && x.in + max(before, behind) < width;
    if (shared) width = x.in + max(before, behind), tail = min(before, behind);
    block[0] = piece(y.out, max(1, outputs / width), 1), height = block[0] + y.reach() / y.stride;
    channel = product_of(residues[0], residues[1], height, width) + tail;
    for (int64_t t = 0; t < offset.size; t++) {
      if (t < place.size) {
        const int64_t up = y.above_lowest(t / x.taps), left = x.above_lowest(t % x.taps);
        const int64_t plane = up % y.stride * residues[1] + left % x.stride;
        offset[t] = plane * height * width + up / y.stride * width + left / x.stride;
      } else {
        offset[t] = offset[t - place.size] + channel;  // without a division: there are thousands of terms
      }
      last = max(last, offset[t]);
    }
    for (int64_t t = 0; t < taps(); t++)
      place[t] = (y.index + t / x.taps * y.index_step) * x.kernel + x.index + t % x.taps * x.index_step;
  }
  int64_t taps() const { return product_of(y.taps, x.taps); }
  // From the first output of a block to the last one: where rows share zeros, the last one may be longer than the width.
  int64_t numbers() const { return product_of(block[0], width) + max(0, block[1] - width); }
  int64_t down() const { return ceil_div(y.out, block[0]); }  // blocks
  int64_t across() const { return ceil_div(x.out, block[1]); }

  // The piece for the block whose first output is (y0, x0); a register that begins in it may end in the zeros behind it.
  // Without `frame`, the frame of zeros is there already: a piece of the same place lay here.
  template <class T, class A>
  void copy(const T* image, int64_t channels, int64_t y0, int64_t x0, A* to, bool frame = true) const {
    const int64_t top = y.stride * y0 + y.lowest(), left = x.stride * x0 + x.lowest();
    for (int64_t c = 0; c < channels; c++, image += y.in * x.in) {
      for (int64_t i = 0; i < residues[0]; i++)
        for (int64_t j = 0; j < residues[1]; j++) {
          const int64_t at_x = left + j;  // of a row's first number; here, not below: a division takes as long as a short row
          const int64_t begin = min(width, ceil_div(max(0, -at_x), x.stride));
          const int64_t end = max(begin, min(width, ceil_div(max(0, x.in - at_x), x.stride)));
          for (int64_t row = 0; row < height; row++, to += width) {
            const int64_t at_y = top + row * y.stride + i;
            const bool inside = 0 <= at_y && at_y < y.in;
            for (int64_t k = 0; k < (inside ? begin : width) && frame; k++) to[k] = 0;
            if (!inside) continue;
            copy_row(image + at_y * x.in + at_x, begin, end, to);
            for (int64_t k = end; k < width && frame; k++) to[k] = 0;
          }
        }
      for (int64_t k = 0; k < tail; k++) *to++ = 0;
    }
    for (int64_t k = 0; k < COLUMNS<A>; k++) to[k] = 0;
  }

 private:
  // Every x.stride-th number.
  template <class T, class A>
  void copy_row(const T* from, int64_t begin, int64_t end, A* to) const {
    constexpr int64_t N = lanes<A>;
    int64_t k = begin;
    if (x.stride == 1)
      return map<T>(begin, end, [&](int64_t k, auto get, auto put) SN_LAMBDA_INLINE { put(to + k, get(from + k)); });
    if (x.stride == 2)  // the last register of a row would end behind it
      for (; k + N < end; k += N)
        store(to + k, even<A>(load(from + 2 * k), load(from + 2 * k + N), std::make_integer_sequence<int, N>()));
    for (; k < end; k++) to[k] = load1(from + k * x.stride);
  }
};

}  // namespace
}  // namespace scratchnet
