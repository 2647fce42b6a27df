// y and dx of a convolution as correlations of weights with shifted images, each rung with a `correlate` of its own:
//
//   y       (F, outputs) = weight (F, terms) views(x)
//   dx      (C, pixels)  = weight^T (C, terms) views(dy), once for every residue of the pixels modulo the stride
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
  // Where the weights of a group's row begin, and those of a term in a row.
  const T* row_of(int64_t group, int64_t i) const {
    return weight + group * size.filters * size.channels * size.kernel[0] * size.kernel[1] + i * row;
  }
  int64_t term_of(const Views& views, int64_t t) const { return t / views.taps() * channel + views.place[t % views.taps()]; }
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

template <class T>
void input_gradient(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t taps = size.kernel[0] * size.kernel[1], width = size.in[1];
  for (int64_t i = 0; i < min(size.stride[0], size.in[0]); i++)
    for (int64_t j = 0; j < min(size.stride[1], width); j++) {
      const Results<T> out{dx + i * width + j, size.in[0] * width, size.stride[0] * width, size.stride[1]};
      correlate(Correlation<T>{size, backward_axis(size, 0, i), backward_axis(size, 1, j), weight, size.channels, taps,
                               size.filters, size.channels * taps, nullptr, grad, out});
    }
}

// dx += the terms of the weights that are not finite, for the outputs that exist.
template <class T>
void add_infinite_terms(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t outputs = size.out[0] * size.out[1], taps = size.kernel[0] * size.kernel[1];
  parallel_for(0, size.batch * size.groups * size.channels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; plane++) {  // (batch, groups, channels)
      T* const to = dx + plane * size.in[0] * size.in[1];
      for (int64_t f = 0; f < size.filters; f++) {
        const T* dy = grad + (plane / size.channels * size.filters + f) * outputs;
        const int64_t row = plane / size.channels % size.groups * size.filters + f;
        for (int64_t tap = 0; tap < taps; tap++) {
          const auto w = load1(weight + (row * size.channels + plane % size.channels) * taps + tap);
          if (__builtin_isfinite(w)) continue;
          for (int64_t o = 0; o < outputs; o++) {
            const int64_t y = o / size.out[1] * size.stride[0] - size.padding[0] + tap / size.kernel[1] * size.dilation[0];
            const int64_t x = o % size.out[1] * size.stride[1] - size.padding[1] + tap % size.kernel[1] * size.dilation[1];
            if (y < 0 || y >= size.in[0] || x < 0 || x >= size.in[1]) continue;
            store1(to + y * size.in[1] + x, load1(to + y * size.in[1] + x) + w * load1(dy + o));
          }
        }
      }
    }
  });
}

// dx, also for weights that are not finite: they must not meet the zeros of the frame, which stand for outputs that do not
// exist.
template <class T>
void any_input_gradient(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  const int64_t count = size.groups * size.filters * size.channels * size.kernel[0] * size.kernel[1];
  bool all = true;
  for (int64_t i = 0; i < count; i++) all &= bool(__builtin_isfinite(load1(weight + i)));
  if (all) return input_gradient(size, grad, weight, dx);
  const Scratch<T> finite(count);
  for (int64_t i = 0; i < count; i++) finite[i] = __builtin_isfinite(load1(weight + i)) ? weight[i] : T{};
  input_gradient(size, grad, finite.data(), dx);
  add_infinite_terms(size, grad, weight, dx);
}

// What is no product is a correlation; the gradients of weights and bias are left to rung 2.
inline void correlation_forward(const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias,
                                void* y) {
  if (y_is_product(on, size, bias)) return conv2d_kernels(2).forward(on, size, x, weight, bias, y);
  SN_TYPED(forward)(on, size, x, weight, bias, y);
}

inline void correlation_backward(const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight,
                                 void* dx, void* dweight, void* dbias) {
  if (dx && !dx_is_product(size)) SN_TYPED(any_input_gradient)(on, size, grad, weight, dx), dx = nullptr;
  conv2d_kernels(2).backward(on, size, grad, x, weight, dx, dweight, dbias);
}

}  // namespace
}  // namespace scratchnet
