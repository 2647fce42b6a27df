// Convolution, rung 3: for each number of a filter, the image as that number sees it is added to the results, a register at a
// time. The image is copied into a frame of zeros and seen from another place (shifted.h); the unfolded matrix never exists.
// Views without the matrix: https://arxiv.org/abs/1907.02129
#include "correlation.h"

namespace scratchnet {
namespace {

template <class T>
void correlate(const Correlation<T>& c) {
  using A = acc_t<T>;
  constexpr int64_t OUTPUTS = 4096;  // of a block, whose sums stay in L1
  const Views views(c.y, c.x, c.channels, OUTPUTS);
  const int64_t terms = c.terms(), columns = views.numbers();
  const Scratch<A> image(product_of(c.channels, views.channel) + COLUMNS<A>), sums(columns), chain(columns);
  for (int64_t plane = 0; plane < c.size.batch * c.size.groups; plane++)  // (batch, groups)
    for (int64_t y0 = 0; y0 < c.y.out; y0 += views.block[0])
      for (int64_t x0 = 0; x0 < c.x.out; x0 += views.block[1]) {
        const int64_t down = min(views.block[0], c.y.out - y0), right = min(views.block[1], c.x.out - x0);
        const int64_t used = (down - 1) * views.width + right, g = plane % c.size.groups;
        if (terms) views.copy(c.in + plane * c.channels * c.y.in * c.x.in, c.channels, y0, x0, image.data());
        for (int64_t i = 0; i < c.rows; i++) {
          fill_zeros(sums);
          for (int64_t first = 0; first < terms; first += DEPTH) {
            fill_zeros(chain);
            for (int64_t t = first; t < min(terms, first + DEPTH); t++) {
              const A w = load1(c.row_of(g, i) + c.term_of(views, t));
              const A* from = image.at(views.offset[t], used);
              map<A>(0, used, [to = chain.data(), from, w](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
                put(to + j, get(to + j) + w * get(from + j));
              });
            }
            map<A>(0, used, [to = sums.data(), from = chain.data()](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
              put(to + j, get(to + j) + get(from + j));
            });
          }
          finish(sums.data(), columns, views.width, c.bias_of(g, i), 1, down, right,
                 c.result(g, plane / c.size.groups, i) + y0 * c.out.down + x0 * c.out.right, c.out);
        }
      }
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_3) = {correlation_forward, correlation_backward};

}  // namespace scratchnet
