// Sums over a channel whose numbers lie in runs, one for each image; its mean and variance.
//
// How the variance keeps its digits, whatever the mean: a block of numbers is small enough for the first cache, where its mean
// is taken first and the squares around that mean then; blocks are put together in double (Chan, Golub, LeVeque 1979):
//   squares = squares_a + squares_b + (mean_b - mean_a)^2 n_a n_b / (n_a + n_b)
#pragma once
#include "cpu/row_sums.h"
#include "ops/batch_norm.h"
#include "ops/numbers.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK = 4096;  // numbers that are summed in float

// Where the numbers of a channel lie: `runs` of `length`, `step` apart.
struct Layout {
  int64_t runs, length, step;
  int64_t count() const { return runs * length; }
};

template <class A, int K, class F>
SN_INLINE Sums<K> sum_block(const Layout& block, const F& f) {
  return sum_block<A, K>(0, block.length, f, block.runs, block.step);
}

// body(first place, block) for the blocks of a channel: some whole runs, or a part of a long one.
template <class F>
SN_INLINE void for_each_block(const Layout& l, const F& body) {
  const int64_t runs = l.length < BLOCK ? BLOCK / (l.length + 1) + 1 : 1;
  for (int64_t r = 0; r < l.runs; r += runs)
    for (int64_t i = 0; i < l.length; i += BLOCK)
      body(r * l.step + i, Layout{min(runs, l.runs - r), min(BLOCK, l.length - i), l.step});
}

struct Statistics {
  double mean, var;
};

// For numbers or sums that are not finite in float: in double, where the sums of finite floats are, and with the formula's own
// infinities and NaNs.
template <class T>
Statistics wide_statistics(const T* x, const Layout& l) {
  double sum = 0, squares = 0;
  const auto for_each = [&](const auto& f) {
    for (int64_t r = 0; r < l.runs; r++)
      for (int64_t i = 0; i < l.length; i++) f(double(load1(x + r * l.step + i)));
  };
  for_each([&](double v) { sum += v; });
  const double mean = sum / l.count();
  for_each([&](double v) { squares += (v - mean) * (v - mean); });
  return {mean, squares / l.count()};
}

template <class T>
Statistics statistics(const T* x, const Layout& l) {
  using A = acc_t<T>;
  double count = 0, mean = 0, squares = 0;
  for_each_block(l, [&](int64_t at, const Layout& block) SN_LAMBDA_INLINE {
    const T* b = x + at;
    const double n = block.count();
    const A first = load1(b);
    const A centre =
        first +
        A(sum_block<A, 1>(block, [=](int64_t i, auto get) SN_LAMBDA_INLINE { return Terms<A, 1>{get(b + i) - first}; }).v[0] /
          n);
    const auto sums = sum_block<A, 2>(block, [=](int64_t i, auto get) SN_LAMBDA_INLINE {
      const vec<A> d = get(b + i) - centre;
      return Terms<A, 2>{d, d * d};
    });
    const double block_mean = centre + sums.v[0] / n, apart = block_mean - mean;
    const double block_squares = sums.v[1] - sums.v[0] * sums.v[0] / n;
    squares += (block_squares < 0 ? 0 : block_squares) + apart * apart * count * n / (count + n);
    count += n;
    mean += apart * n / count;
  });
  if (count && !(__builtin_isfinite(mean) && __builtin_isfinite(squares))) return wide_statistics(x, l);
  return {count ? mean : __builtin_nan(""), squares / count};
}

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

inline bool needs_sums(const BatchNormBackward& p) { return p.training || p.dweight || p.dbias; }

}  // namespace
}  // namespace scratchnet
