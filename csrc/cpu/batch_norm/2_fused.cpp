// BatchNorm, rung 2: a channel at a time, so that its second pass finds in the cache what the first one read; SIMD, threads.
//
//   forward   reads x, writes y:              8 bytes per element (float32)
//   backward  reads x and grad, writes dx:   12 bytes
//
// The saved mean is rounded to float; what that leaves over, rest = mean(x - mean), is taken into account in both directions.
// Every channel belongs to one thread and is summed in one order: the same bits for any number of threads.
#include "channel.h"
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "ops/batch_norm.h"

namespace scratchnet {
namespace {

// f(c, layout) for every channel
template <class P, class F>
void for_each_channel(const P& p, const F& f) {
  const Layout layout{p.images, p.positions, p.channels * p.positions};
  parallel_for(0, p.channels, 1 + GRAIN / (layout.count() + 1), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) f(c, layout);
  });
}

template <class T, class F>
SN_INLINE void map_channel(const Layout& l, const F& f) {
  for (int64_t r = 0; r < l.runs; r++) map<T>(r * l.step, r * l.step + l.length, f);
}

template <class T>
void forward(const BatchNormForward& p) {
  for_each_channel(p, [&](int64_t c, const Layout& l) {
    const T* x = (const T*)p.x + c * p.positions;
    T* y = (T*)p.y + c * p.positions;
    const auto [mean, a, b] = affine<T>(p, c, p.running_mean ? Statistics{} : statistics(x, l));
    map_channel<T>(l, [=, mean = mean, a = a, b = b](int64_t i, auto get, auto put)
                          SN_LAMBDA_INLINE { put(y + i, (get(x + i) - mean) * a + b); });
  });
}

template <class T>
void backward(const BatchNormBackward& p) {
  using A = acc_t<T>;
  for_each_channel(p, [&](int64_t c, const Layout& l) {
    const T *grad = (const T*)p.grad + c * p.positions, *x = (const T*)p.x + c * p.positions;
    const A mean = ((const A*)p.mean)[c];
    Sums<3> sums;
    if (needs_sums(p))
      for_each_block(l, [&](int64_t at, const Layout& block) SN_LAMBDA_INLINE {
        const T *g = grad + at, *v = x + at;
        const auto part = sum_block<A, 3>(block, [=](int64_t i, auto get) SN_LAMBDA_INLINE {
          const vec<A> d = get(v + i) - mean, gi = get(g + i);
          return Terms<A, 3>{gi, gi * d, d};
        });
        sums += part;
      });
    const auto s = slope<T>(p, c, sums);
    T* dx = p.dx ? (T*)p.dx + c * p.positions : nullptr;
    if (dx && p.training)
      map_channel<T>(l, [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
        put(dx + i, (get(grad + i) - s.mean_g) * s.a - ((get(x + i) - s.mean) - s.rest) * s.slope);
      });
    else if (dx) map_channel<T>(l, [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(dx + i, get(grad + i) * s.a); });
  });
}

}  // namespace

SN_DEFINE_RUNG(BatchNormKernels, batch_norm_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
