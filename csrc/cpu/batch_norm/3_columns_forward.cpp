// BatchNorm, rung 3: where a channel has only a few numbers per image, forward takes neighbouring channels together, as
// columns.
//
// Of (images, channels) each channel has one number in a row: rung 2 reads it, and the rest of its cache line not. The columns
// of some channels fill registers, whose lanes are summed apart (columns.h); longer runs are left to rung 2.
#include "columns.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T>
void forward(const BatchNormForward& p) {
  using A = acc_t<T>;
  for_each_columns<A>(p, [&](int64_t first, int64_t at, Columns<A>& m) {
    const T* x = (const T*)p.x + at;
    T* y = (T*)p.y + at;
    const double count = p.images * p.positions;
    A *mean = m.row(0), *a = m.row(1), *b = m.row(2);
    const bool own = !p.running_mean && count;
    if (own) {
      for (int64_t c = 0; c < m.channels; c++) m.fill(0, c, load1(x + c * p.positions));
      m.template sum<1>([=](int64_t i, int64_t j, auto get)
                            SN_LAMBDA_INLINE { return Terms<A, 1>{get(x + i) - get(mean + j)}; });
      for (int64_t c = 0; c < m.channels; c++)
        m.fill(0, c, A(mean[c * p.positions] + m.template of_channel<1>(c).v[0] / count));
      m.template sum<2>([=](int64_t i, int64_t j, auto get) SN_LAMBDA_INLINE {
        const vec<A> d = get(x + i) - get(mean + j);
        return Terms<A, 2>{d, d * d};
      });
    }
    for (int64_t c = 0; c < m.channels; c++) {
      Statistics s{__builtin_nan(""), __builtin_nan("")};
      if (own) {
        const auto sums = m.template of_channel<2>(c);
        const double rest = sums.v[0] / count, var = sums.v[1] / count - rest * rest;
        s = {mean[c * p.positions] + rest, var < 0 ? 0 : var};
        if (!(__builtin_isfinite(s.mean) && __builtin_isfinite(s.var)))
          s = wide_statistics(x + c * p.positions, {p.images, p.positions, p.channels * p.positions});
      }
      const auto channel = affine<T>(p, first + c, s);
      m.fill(0, c, channel.mean), m.fill(1, c, channel.a), m.fill(2, c, channel.b);
    }
    for (int64_t n = 0; n < m.rows; n++)
      map<T>(0, m.width, [=, row = n * m.step](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        put(y + row + j, (get(x + row + j) - get(mean + j)) * get(a + j) + get(b + j));
      });
  });
}

}  // namespace

SN_DEFINE_RUNG(BatchNormKernels, batch_norm_3) = {
    [](const On& on, const BatchNormForward& p) {
      if (p.positions >= SHORT) return batch_norm_kernels(2).forward(on, p);
      SN_FLOATS(on.dtype, forward<T>(p));
    },
    [](const On& on, const BatchNormBackward& p) { batch_norm_kernels(2).backward(on, p); },
};

}  // namespace scratchnet
