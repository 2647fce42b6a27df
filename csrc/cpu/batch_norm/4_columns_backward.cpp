// BatchNorm, rung 4: backward, too, takes neighbouring channels together where each has only a few numbers per image.
#include "columns.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T>
void backward(const BatchNormBackward& p) {
  using A = acc_t<T>;
  for_each_columns<A>(p, [&](int64_t first, int64_t at, Columns<A>& m) {
    const T *grad = (const T*)p.grad + at, *x = (const T*)p.x + at;
    T* dx = p.dx ? (T*)p.dx + at : nullptr;
    A *mean = m.row(0), *rest = m.row(1), *a = m.row(2), *mean_g = m.row(3), *tilt = m.row(4);
    for (int64_t c = 0; c < m.channels; c++) m.fill(0, c, ((const A*)p.mean)[first + c]);
    if (needs_sums(p))
      m.template sum<3>([=](int64_t i, int64_t j, auto get) SN_LAMBDA_INLINE {
        const vec<A> d = get(x + i) - get(mean + j), g = get(grad + i);
        return Terms<A, 3>{g, g * d, d};
      });
    for (int64_t c = 0; c < m.channels; c++) {
      const auto s = slope<T>(p, first + c, needs_sums(p) ? m.template of_channel<3>(c) : Sums<3>{});
      m.fill(1, c, s.rest), m.fill(2, c, s.a), m.fill(3, c, s.mean_g), m.fill(4, c, s.slope);
    }
    for (int64_t n = 0; dx && n < m.rows; n++)
      map<T>(0, m.width, [=, row = n * m.step, training = p.training](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        const vec<A> g = get(grad + row + j);
        if (!training) return put(dx + row + j, g * get(a + j));
        const vec<A> d = (get(x + row + j) - get(mean + j)) - get(rest + j);
        put(dx + row + j, (g - get(mean_g + j)) * get(a + j) - d * get(tilt + j));
      });
  });
}

}  // namespace

SN_DEFINE_RUNG(BatchNormKernels, batch_norm_4) = {
    [](const On& on, const BatchNormForward& p) { batch_norm_kernels(3).forward(on, p); },
    [](const On& on, const BatchNormBackward& p) {
      if (p.positions >= SHORT) return batch_norm_kernels(2).backward(on, p);
      SN_FLOATS(on.dtype, backward<T>(p));
    },
};

}  // namespace scratchnet
