// Convolution, rung 3: for each number of a filter, the image as that number sees it is added to y, whole rows at a time. The
// image is copied into a frame of zeros and seen from another place (shifted.h); the unfolded matrix never exists.
// Views without the matrix: https://arxiv.org/abs/1907.02129
//
// The gradients are those of rung 2; that of the image follows in rung 5.
#include "cpu/ladder.h"
#include "products.h"
#include "shifted.h"

namespace scratchnet {
namespace {

template <class T>
void forward(const Conv2dSizes& size, const T* x, const T* weight, const T* bias, T* y) {
  using A = acc_t<T>;
  constexpr int64_t OUTPUTS = 4096;  // of a block, whose sums stay in L1
  const Views views(forward_axis(size, 0), forward_axis(size, 1), size.channels, OUTPUTS);
  const int64_t terms = views.offset.size, plane = size.in[0] * size.in[1], width = size.out[1];
  const Scratch<A> image(product_of(size.channels, views.channel) + COLUMNS<A>), sums(views.numbers()), chain(sums.size);
  for (int64_t n = 0; n < size.batch * size.groups; n++)  // (batch, groups)
    for (int64_t y0 = 0; y0 < size.out[0]; y0 += views.block[0])
      for (int64_t x0 = 0; x0 < width; x0 += views.block[1]) {
        const int64_t down = min(views.block[0], size.out[0] - y0), right = min(views.block[1], width - x0);
        if (terms) views.copy(x + n * size.channels * plane, size.channels, y0, x0, image.data());
        for (int64_t i = 0; i < size.filters; i++) {
          const int64_t f = n % size.groups * size.filters + i, used = (down - 1) * views.width + right;
          for (int64_t j = 0; j < used; j++) sums[j] = bias ? load1(bias + f) : A(0);
          for (int64_t first = 0; first < terms; first += DEPTH) {  // short chains of additions lose less
            fill_zeros(chain);
            for (int64_t t = first; t < min(terms, first + DEPTH); t++) {
              const A w = load1(weight + f * terms + t), *from = image.at(views.offset[t], used);
              for (int64_t j = 0; j < used; j++) chain.data()[j] += w * from[j];
            }
            for (int64_t j = 0; j < used; j++) sums[j] += chain[j];
          }
          T* const to = y + ((n * size.filters + i) * size.out[0] + y0) * width + x0;
          for (int64_t r = 0; r < down; r++)
            for (int64_t j = 0; j < right; j++) store1(to + r * width + j, sums[r * views.width + j]);
        }
      }
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_3) = {
    [](const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias, void* y) {
      if (y_is_product(on, size, bias)) return conv2d_kernels(2).forward(on, size, x, weight, bias, y);
      SN_TYPED(forward)(on, size, x, weight, bias, y);
    },
    SN_FROM(conv2d_kernels(2), backward),
};

}  // namespace scratchnet
