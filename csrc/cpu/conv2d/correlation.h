// y of a convolution as a correlation of weights with shifted images, each rung with a `correlate` of its own:
//
//   y       (F, outputs) = weight (F, terms) views(x)
//
// It is written so that it serves dx too, whose weights and results lie in other steps (gradient.h).
#pragma once
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "products.h"
#include "shifted.h"

namespace scratchnet {
namespace {

// Where the results of one correlation lie: element (row, Y, X) of an image's group at row * plane + Y * down + X * right.
template <class T>
struct Results {
  T* data;
  int64_t plane, down, right;
};

// out (rows) = bias + weight (rows, terms) views(in) for every image and group. From one row of the weights to the next there
// are `row` numbers, from channel to channel `channel`.
template <class T>
struct Correlation {
  const Conv2dSizes& size;
  Axis y, x;
  const T* weight;
  int64_t rows, row, channels, channel;
  const T *bias, *in;
  Results<T> out;

  int64_t terms() const { return channels * y.taps * x.taps; }
  // Where the weights of a group's row begin.
  const T* row_of(int64_t group, int64_t i) const {
    return weight + group * size.filters * size.channels * size.kernel[0] * size.kernel[1] + i * row;
  }
  const T* bias_of(int64_t group, int64_t i) const { return bias ? bias + group * rows + i : nullptr; }
  T* result(int64_t group, int64_t image, int64_t i) const {
    return out.data + ((image * size.groups + group) * rows + i) * out.plane;
  }
};

template <class T>
void correlate(const Correlation<T>& c);  // of the rung that includes this

// The sums (rows, down, width) and the bias of each row, to their place.
template <class T>
void finish(const acc_t<T>* sums, int64_t columns, int64_t width, const T* bias, int64_t rows, int64_t down, int64_t right,
            T* to, const Results<T>& out) {
  for (int64_t i = 0; i < rows; i++) {
    const acc_t<T> shift = bias ? load1(bias + i) : 0;
    for (int64_t y = 0; y < down; y++) {
      const acc_t<T>* from = sums + i * columns + y * width;
      T* line = to + i * out.plane + y * out.down;
      if (out.right == 1)
        map<T>(0, right, [&](int64_t x, auto get, auto put) SN_LAMBDA_INLINE { put(line + x, get(from + x) + shift); });
      else
        for (int64_t x = 0; x < right; x++) store1(line + x * out.right, from[x] + shift);
    }
  }
}

template <class T>
void forward(const Conv2dSizes& size, const T* x, const T* weight, const T* bias, T* y) {
  const int64_t taps = size.kernel[0] * size.kernel[1];
  const Results<T> out{y, size.out[0] * size.out[1], size.out[1], 1};
  correlate(Correlation<T>{size, forward_axis(size, 0), forward_axis(size, 1), weight, size.filters, size.channels * taps,
                           size.channels, taps, bias, x, out});
}

// What is no product is a correlation.
inline void correlation_forward(const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias,
                                void* y) {
  if (y_is_product(on, size, bias)) return conv2d_kernels(2).forward(on, size, x, weight, bias, y);
  SN_TYPED(forward)(on, size, x, weight, bias, y);
}

}  // namespace
}  // namespace scratchnet
