// dx of a convolution as a correlation of the weights with shifted images of dy, each rung with a `correlate` of its own:
//
//   dx      (C, pixels)  = weight^T (C, terms) views(dy), once for every residue of the pixels modulo the stride
#pragma once
#include "correlation.h"

namespace scratchnet {
namespace {

// The sum for dx at the positions stride * at + residue: they took part in y[(stride at + residue + padding - k dilation) /
// stride], for those k for which this is a whole number; such k are evenly spaced.
inline Axis backward_axis(const Conv2dSizes& size, int i, int64_t residue) {
  const int64_t stride = size.stride[i], from = residue + size.padding[i];
  int64_t first = 0, step = 1;
  while (first < size.kernel[i] && (from - first * size.dilation[i]) % stride) first++;
  while (step * size.dilation[i] % stride) step++;
  const int64_t out = max(0, ceil_div(size.in[i] - residue, stride));
  const int64_t taps = first < size.kernel[i] ? (size.kernel[i] - 1 - first) / step + 1 : 0;
  const int64_t shift = (from - first * size.dilation[i]) / stride, shift_step = -step * size.dilation[i] / stride;
  return {size.out[i], out, 1, size.kernel[i], taps, shift, shift_step, first, step};
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

// The gradients of weights and bias are left to rung 2.
inline void correlation_backward(const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight,
                                 void* dx, void* dweight, void* dbias) {
  if (dx && !dx_is_product(size)) SN_TYPED(any_input_gradient)(on, size, grad, weight, dx), dx = nullptr;
  conv2d_kernels(2).backward(on, size, grad, x, weight, dx, dweight, dbias);
}

}  // namespace
}  // namespace scratchnet
