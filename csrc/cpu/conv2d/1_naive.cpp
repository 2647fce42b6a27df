// Convolution, rung 1: the definition, one sum for every result.
//
// 2 flops for each output and each number of its filter; every number of the image is read again for each window over it.
// The padding's zeros are multiplied as other numbers are: 0 times infinity is NaN.
#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/conv2d.h"

namespace scratchnet {
namespace {

// Where tap i of output position `at` falls on an axis of the image.
inline int64_t input_at(const Conv2dSizes& size, int axis, int64_t at, int64_t i) {
  return at * size.stride[axis] - size.padding[axis] + i * size.dilation[axis];
}

// The output position whose tap i falls on `at`, or -1.
inline int64_t output_at(const Conv2dSizes& size, int axis, int64_t at, int64_t i) {
  const int64_t steps = at + size.padding[axis] - i * size.dilation[axis];
  if (steps < 0 || steps % size.stride[axis]) return -1;
  return steps / size.stride[axis] < size.out[axis] ? steps / size.stride[axis] : -1;
}

inline bool inside(const Conv2dSizes& size, int64_t y, int64_t x) {
  return 0 <= y && y < size.in[0] && 0 <= x && x < size.in[1];
}

template <class T>
void forward(const Conv2dSizes& size, const T* x, const T* weight, const T* bias, T* y) {
  const int64_t filters = size.groups * size.filters, channels = size.groups * size.channels;
  for (int64_t n = 0; n < size.batch; n++)
    for (int64_t f = 0; f < filters; f++) {
      const T* image = x + (n * channels + f / size.filters * size.channels) * size.in[0] * size.in[1];
      for (int64_t oy = 0; oy < size.out[0]; oy++)
        for (int64_t ox = 0; ox < size.out[1]; ox++) {
          double sum = bias ? load1(bias + f) : 0;  // a single long chain of float additions would lose digits
          for (int64_t c = 0; c < size.channels; c++)
            for (int64_t i = 0; i < size.kernel[0]; i++)
              for (int64_t j = 0; j < size.kernel[1]; j++) {
                const int64_t iy = input_at(size, 0, oy, i), ix = input_at(size, 1, ox, j);
                const double number = inside(size, iy, ix) ? load1(image + (c * size.in[0] + iy) * size.in[1] + ix) : 0;
                sum += number * load1(weight + ((f * size.channels + c) * size.kernel[0] + i) * size.kernel[1] + j);
              }
          store1(y++, acc_t<T>(sum));
        }
    }
}

template <class T>
void input_gradient(const Conv2dSizes& size, const T* grad, const T* weight, T* dx) {
  for (int64_t n = 0; n < size.batch; n++)
    for (int64_t g = 0; g < size.groups; g++)
      for (int64_t c = 0; c < size.channels; c++)
        for (int64_t iy = 0; iy < size.in[0]; iy++)
          for (int64_t ix = 0; ix < size.in[1]; ix++) {
            double sum = 0;
            for (int64_t f = g * size.filters; f < (g + 1) * size.filters; f++)
              for (int64_t i = 0; i < size.kernel[0]; i++)
                for (int64_t j = 0; j < size.kernel[1]; j++) {
                  const int64_t oy = output_at(size, 0, iy, i), ox = output_at(size, 1, ix, j);
                  if (oy < 0 || ox < 0) continue;
                  sum += double(load1(grad + ((n * size.groups * size.filters + f) * size.out[0] + oy) * size.out[1] + ox)) *
                         load1(weight + ((f * size.channels + c) * size.kernel[0] + i) * size.kernel[1] + j);
                }
            store1(dx++, acc_t<T>(sum));
          }
}

template <class T>
void weight_gradient(const Conv2dSizes& size, const T* grad, const T* x, T* dweight) {
  const int64_t filters = size.groups * size.filters, channels = size.groups * size.channels;
  for (int64_t f = 0; f < filters; f++)
    for (int64_t c = f / size.filters * size.channels; c < (f / size.filters + 1) * size.channels; c++)
      for (int64_t i = 0; i < size.kernel[0]; i++)
        for (int64_t j = 0; j < size.kernel[1]; j++) {
          double sum = 0;
          for (int64_t n = 0; n < size.batch; n++)
            for (int64_t oy = 0; oy < size.out[0]; oy++) {
              double row = 0;  // a sum for each row: shorter chains, which lose less
              for (int64_t ox = 0; ox < size.out[1]; ox++) {
                const int64_t iy = input_at(size, 0, oy, i), ix = input_at(size, 1, ox, j);
                const double number =
                    inside(size, iy, ix) ? load1(x + ((n * channels + c) * size.in[0] + iy) * size.in[1] + ix) : 0;
                row += number * load1(grad + ((n * filters + f) * size.out[0] + oy) * size.out[1] + ox);
              }
              sum += row;
            }
          store1(dweight++, acc_t<T>(sum));
        }
}

template <class T>
void bias_gradient(const Conv2dSizes& size, const T* grad, T* dbias) {
  const int64_t filters = size.groups * size.filters;
  for (int64_t f = 0; f < filters; f++) {
    double sum = 0;
    for (int64_t n = 0; n < size.batch; n++)
      for (int64_t oy = 0; oy < size.out[0]; oy++) {
        double row = 0;
        for (int64_t ox = 0; ox < size.out[1]; ox++)
          row += load1(grad + ((n * filters + f) * size.out[0] + oy) * size.out[1] + ox);
        sum += row;
      }
    store1(dbias + f, acc_t<T>(sum));
  }
}

template <class T>
void backward(const Conv2dSizes& size, const T* grad, const T* x, const T* weight, T* dx, T* dweight, T* dbias) {
  if (dx) input_gradient(size, grad, weight, dx);
  if (dweight) weight_gradient(size, grad, x, dweight);
  if (dbias) bias_gradient(size, grad, dbias);
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
