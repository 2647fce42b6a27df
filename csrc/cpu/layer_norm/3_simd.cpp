// LayerNorm and RMSNorm, rung 3: whole registers at a time.
//
// Floats are summed as floats now, a block of a row in the lanes of a register, the blocks in double. Welford's running mean
// would be rounded at every step, so that forward goes over the row for the mean and again, in the cache, for the variance.
//
// The mean is summed relative to the row's first element; what its rounding to float leaves over, c = mean(x - mean), is a
// by-product of the next pass. With d = x - mean, which is nearly exact, h = (d - c) rstd and the variance is mean(d^2) - c^2.
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "cpu/row_sums.h"
#include "ops/layer_norm.h"

namespace scratchnet {
namespace {

// The sums over a row of the K terms that f(j, get) has for columns j, j + 1, ...
template <class A, int K, class F>
SN_INLINE Sums<K> sum(int64_t columns, const F& f) {
  constexpr int64_t N = lanes<A>, BLOCK = 256 * N;
  Sums<K> total;
  int64_t j = 0;
  while (j + N <= columns) {
    vec<A> block[K] = {};
    for (const int64_t end = j + BLOCK; j < end && j + N <= columns; j += N) {
      const Terms<A, K> terms = f(j, [](const auto* p) SN_LAMBDA_INLINE { return load(p); });
      for (int k = 0; k < K; k++) block[k] += terms.v[k];
    }
    for (int k = 0; k < K; k++) total.v[k] += vsum(block[k]);
  }
  if (const int64_t n = columns - j; n > 0) {
    const Terms<A, K> terms = f(j, [n](const auto* p) SN_LAMBDA_INLINE { return load_tail(p, n); });
    for (int k = 0; k < K; k++)
      for (int64_t lane = 0; lane < n; lane++) total.v[k] += terms.v[k][lane];
  }
  return total;
}

template <class T>
void forward(const NormForward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  for (int64_t i = 0; i < p.rows; i++) {
    const T* x = (const T*)p.x + i * D;
    T* y = (T*)p.y + i * D;
    if (p.residual) {
      const T *residual = (const T*)p.residual + i * D, *term = x;
      T* total = (T*)p.total + i * D;
      map<T>(0, D, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { put(total + j, get(term + j) + get(residual + j)); });
      x = total;
    }
    A mean = 0;
    if (p.mean && D) {
      const A first = load1(x);
      const auto shifted = sum<A, 1>(D, [=](int64_t j, auto get) SN_LAMBDA_INLINE { return Terms<A, 1>{get(x + j) - first}; });
      mean = A(first + shifted.v[0] / D);
    }
    const auto sums = sum<A, 2>(D, [=](int64_t j, auto get) SN_LAMBDA_INLINE {
      const vec<A> d = get(x + j) - mean;
      return Terms<A, 2>{d, d * d};
    });
    const double mean_d = p.mean ? sums.v[0] / D : 0, variance = sums.v[1] / D - mean_d * mean_d;
    const A rest = A(mean_d), rstd = A(1 / __builtin_sqrt((variance < 0 ? 0 : variance) + p.eps));
    map<T>(0, D, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      vec<A> h = ((get(x + j) - mean) - rest) * rstd;
      if (weight) h *= get(weight + j);
      if (bias) h += get(bias + j);
      put(y + j, h);
    });
    if (p.mean) ((A*)p.mean)[i] = mean;
    ((A*)p.rstd)[i] = rstd;
  }
}

template <class T>
void backward(const NormBackward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T* weight = (const T*)p.weight;
  const Scratch<A> dweights(D), dbiases(D);
  fill_zeros(dweights), fill_zeros(dbiases);
  A *const dweight = dweights.data(), *const dbias = dbiases.data();
  for (int64_t i = 0; i < p.rows; i++) {
    const T *x = (const T*)p.x + i * D, *grad = (const T*)p.grad + i * D;
    const T* grad_total = p.grad_total ? (const T*)p.grad_total + i * D : nullptr;
    T* dx = p.dx ? (T*)p.dx + i * D : nullptr;
    const A mean = p.mean ? ((const A*)p.mean)[i] : 0, rstd = ((const A*)p.rstd)[i];
    const auto sums = sum<A, 3>(D, [=](int64_t j, auto get) SN_LAMBDA_INLINE {
      const vec<A> d = get(x + j) - mean, g = get(grad + j), a = weight ? g * get(weight + j) : g;
      return Terms<A, 3>{a, a * d, d};
    });
    const double mean_a = p.mean ? sums.v[0] / D : 0, mean_d = p.mean ? sums.v[2] / D : 0;
    const A rest = A(mean_d), shift = A(mean_a), stretch = A((sums.v[1] / D - mean_a * mean_d) * rstd);
    map<T>(0, D, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      const vec<A> g = get(grad + j), h = ((get(x + j) - mean) - rest) * rstd;
      if (dx) {
        const vec<A> d = ((weight ? g * get(weight + j) : g) - shift - h * stretch) * rstd;
        put(dx + j, grad_total ? d + get(grad_total + j) : d);
      }
      put(dweight + j, get(dweight + j) + g * h);
      put(dbias + j, get(dbias + j) + g);
    });
  }
  for (int64_t j = 0; j < D; j++) {
    if (p.dweight) store1((T*)p.dweight + j, dweight[j]);
    if (p.dbias) store1((T*)p.dbias + j, dbias[j]);
  }
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_3) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
