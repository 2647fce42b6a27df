// BatchNorm, rung 2: a channel at a time, so that its second pass finds in the cache what the first one read; SIMD, threads.
//
//   forward   reads x, writes y:              8 bytes per element (float32)
//   backward  reads x and grad, writes dx:   12 bytes
//
// Where a channel has only a few numbers per image, neighbouring channels are taken together, as columns.
// The saved mean is rounded to float; what that leaves over, rest = mean(x - mean), is taken into account in both directions.
// Every channel belongs to one thread and is summed in one order: the same bits for any number of threads.
#include "columns.h"
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "ops/batch_norm.h"

namespace scratchnet {
namespace {

constexpr int64_t SHORT = 32;  // runs of fewer numbers are taken as columns

// What a channel needs to be normalised, x to (x - mean) a + b; and its statistics, stored.
template <class A>
struct Affine {
  A mean, a, b;
};
template <class T>
Affine<acc_t<T>> affine(const BatchNormForward& p, int64_t c, Statistics s) {
  using A = acc_t<T>;
  if (p.running_mean) s = {load1((const T*)p.running_mean + c), load1((const T*)p.running_var + c)};
  const double scale = (p.weight ? load1((const T*)p.weight + c) : 1) / __builtin_sqrt(s.var + p.eps);
  const A mean = ((A*)p.mean)[c] = A(s.mean);
  ((A*)p.var)[c] = A(s.var);
  // What rounding the mean left over; nothing beside an infinity, where inf - inf or 0 inf would make NaN of the shift.
  const double rest = __builtin_isinf(mean) || __builtin_isinf(scale) ? 0 : (s.mean - mean) * scale;
  return {mean, A(scale), A((p.bias ? load1((const T*)p.bias + c) : 0) - rest)};
}

// What dx = (grad - mean_g) a - (x - mean - rest) slope needs, from the sums of grad, grad d and d, d = x - mean.
template <class A>
struct Slope {
  A mean, rest, a, mean_g, slope;
};
template <class T>
Slope<acc_t<T>> slope(const BatchNormBackward& p, int64_t c, const Sums<3>& sums) {
  using A = acc_t<T>;
  const double n = p.images * p.positions, rstd = 1 / __builtin_sqrt(((const A*)p.var)[c] + p.eps);
  const double rest = sums.v[2] / n, sum_h = (p.training ? sums.v[1] - rest * sums.v[0] : sums.v[1]) * rstd;
  if (p.dweight) store1((T*)p.dweight + c, A(sum_h));
  if (p.dbias) store1((T*)p.dbias + c, A(sums.v[0]));
  const double a = (p.weight ? load1((const T*)p.weight + c) : 1) * rstd;
  return {((const A*)p.mean)[c], A(rest), A(a), A(sums.v[0] / n), A(a * rstd * sum_h / n)};
}

bool needs_sums(const BatchNormBackward& p) { return p.training || p.dweight || p.dbias; }

// ---- long runs: a channel at a time -------------------------------------------------------------------------------------

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
void forward_long(const BatchNormForward& p) {
  for_each_channel(p, [&](int64_t c, const Layout& l) {
    const T* x = (const T*)p.x + c * p.positions;
    T* y = (T*)p.y + c * p.positions;
    const auto [mean, a, b] = affine<T>(p, c, p.running_mean ? Statistics{} : statistics(x, l));
    map_channel<T>(l, [=, mean = mean, a = a, b = b](int64_t i, auto get, auto put)
                          SN_LAMBDA_INLINE { put(y + i, (get(x + i) - mean) * a + b); });
  });
}

template <class T>
void backward_long(const BatchNormBackward& p) {
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

// ---- short runs: some neighbouring channels at a time, as columns of the matrix (images, channels * positions) ------------

// f(first channel, place of its first number, columns) for blocks of channels
template <class A, class P, class F>
void for_each_columns(const P& p, const F& f) {
  const int64_t size = 16 * (1 + 7 / (p.positions + 1)), blocks = ceil_div(p.channels, size);
  parallel_for(0, blocks, 1 + GRAIN / (p.images * p.positions * size + 1), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) {
      const int64_t c = b * size;
      Columns<A> columns(p.images, p.channels * p.positions, p.positions, min(size, p.channels - c));
      f(c, c * p.positions, columns);
    }
  });
}

template <class T>
void forward_short(const BatchNormForward& p) {
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

template <class T>
void backward_short(const BatchNormBackward& p) {
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

template <class T>
void forward(const BatchNormForward& p) {
  p.positions < SHORT ? forward_short<T>(p) : forward_long<T>(p);
}
template <class T>
void backward(const BatchNormBackward& p) {
  p.positions < SHORT ? backward_short<T>(p) : backward_long<T>(p);
}

}  // namespace

SN_DEFINE_RUNG(BatchNormKernels, batch_norm_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
