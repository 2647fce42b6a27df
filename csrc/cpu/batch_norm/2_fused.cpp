// BatchNorm, rung 2: a channel at a time, so that its second pass finds in the cache what the first one read; SIMD, threads.
//
//   forward   reads x, writes y:              8 bytes an element (float32)
//   backward  reads x and grad, writes dx:   12 bytes
//
// How the variance keeps its digits, whatever the mean: a block of numbers is small enough for the first cache, where its mean
// is taken first and the squares around that mean then; blocks are put together in double (Chan, Golub, LeVeque 1979):
//   squares = squares_a + squares_b + (mean_b - mean_a)^2 n_a n_b / (n_a + n_b)
// The saved mean is rounded to float; what that leaves over, rest = mean(x - mean), is taken into account in both directions.
// Every channel belongs to one thread and is summed in one order: the same bits for any number of threads.
#include "batch_norm.h"
#include "memory.h"
#include "parallel.h"
#include "simd.h"

namespace scratchnet {
namespace {

constexpr int64_t GRAIN = 32768;  // elements that are worth a thread
constexpr int64_t BLOCK = 4096;   // numbers that are summed in float
constexpr int64_t SHORT = 32;     // runs of fewer numbers are copied together first

// Where the numbers of a channel lie: `runs` of `length`, `step` apart.
struct Layout {
  int64_t runs, length, step;
  int64_t count() const { return runs * length; }
};

template <class A>
SN_INLINE vec<A> first_lanes(vec<A> v, int64_t n) {  // the others become zero
  vec<A> lane;
  for (int64_t i = 0; i < lanes<A>; i++) lane[i] = A(i);
  return lane < splat(A(n)) ? v : vec<A>{};
}

template <int K>
struct Sums {
  double v[K] = {};
};
template <class A, int K>
struct Terms {
  vec<A> v[K];
};

// The sums of the K terms that f(i, get) has for the places i, i + 1, ... of `runs` runs of `length`.
template <class A, int K, class F>
SN_INLINE Sums<K> sum_block(const Layout& block, const F& f) {
  constexpr int64_t N = lanes<A>, U = 4;
  const auto whole = [](const auto* p) SN_LAMBDA_INLINE { return load(p); };
  vec<A> sum[U][K] = {};
  for (int64_t r = 0; r < block.runs; r++) {
    int64_t i = r * block.step;
    const int64_t end = i + block.length;
    for (; i + U * N <= end; i += U * N)
#pragma GCC unroll 4
      for (int u = 0; u < U; u++) {
        const Terms<A, K> terms = f(i + u * N, whole);
        for (int k = 0; k < K; k++) sum[u][k] += terms.v[k];
      }
    for (; i + N <= end; i += N) {
      const Terms<A, K> terms = f(i, whole);
      for (int k = 0; k < K; k++) sum[0][k] += terms.v[k];
    }
    if (const int64_t n = end - i; n > 0) {
      const Terms<A, K> terms = f(i, [n](const auto* p) SN_LAMBDA_INLINE { return load_tail(p, n); });
      for (int k = 0; k < K; k++) sum[1][k] += first_lanes<A>(terms.v[k], n);
    }
  }
  Sums<K> sums;
  for (int k = 0; k < K; k++) sums.v[k] = vsum((sum[0][k] + sum[1][k]) + (sum[2][k] + sum[3][k]));
  return sums;
}

// body(first place, block) for the blocks of a channel: some whole runs, or a part of a long one.
template <class F>
SN_INLINE void for_each_block(const Layout& l, const F& body) {
  const int64_t runs = l.length < BLOCK ? BLOCK / (l.length + 1) + 1 : 1;
  for (int64_t r = 0; r < l.runs; r += runs)
    for (int64_t i = 0; i < l.length; i += BLOCK)
      body(r * l.step + i, Layout{runs < l.runs - r ? runs : l.runs - r, l.length - i < BLOCK ? l.length - i : BLOCK, l.step});
}

struct Statistics {
  double mean, var;
};

template <class T>
Statistics statistics(const T* x, const Layout& l) {
  using A = acc_t<T>;
  double count = 0, mean = 0, squares = 0;
  for_each_block(l, [&](int64_t at, const Layout& block) SN_LAMBDA_INLINE {
    const T* b = x + at;
    const double n = block.count();
    const A first = load1(b);
    const A centre = first + A(sum_block<A, 1>(block, [=](int64_t i, auto get) SN_LAMBDA_INLINE {
      return Terms<A, 1>{get(b + i) - first};
    }).v[0] / n);
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
  return {count ? mean : __builtin_nan(""), squares / count};
}

// put(i, value of f(i, get)) for all places of a channel
template <class T, class F>
SN_INLINE void map_channel(const Layout& l, const F& f) {
  for (int64_t r = 0; r < l.runs; r++) map<T>(r * l.step, r * l.step + l.length, f);
}

// f(c, layout, in, out) for every channel c, in and out pointing to its first number. Channels whose numbers lie scattered are
// copied together, some neighbours at a time, and f gets the copies; out may be null.
template <class T, int IN, class F>
void for_each_channel(int64_t images, int64_t channels, int64_t positions, const T* const (&in)[IN], T* out, const F& f) {
  using A = acc_t<T>;
  const int64_t numbers = images * positions;
  if (positions >= SHORT) {
    parallel_for(0, channels, 1 + GRAIN / (numbers + 1), [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++) {
        const T* from[IN];
        for (int k = 0; k < IN; k++) from[k] = in[k] + c * positions;
        f(c, Layout{images, positions, channels * positions}, from, out ? out + c * positions : nullptr);
      }
    });
    return;
  }
  constexpr int64_t TILE = 16;  // channels that share cache lines
  const int64_t pitch = numbers + 24;  // not a power of two: the rows of the copy would compete for the same cache lines
  parallel_for(0, (channels + TILE - 1) / TILE, 1 + GRAIN / (numbers * TILE + 1), [&](int64_t begin, int64_t end) {
    A* copy = allocate<A>((IN + 1) * TILE * pitch);
    for (int64_t tile = begin; tile < end; tile++) {
      const int64_t first = tile * TILE, count = channels - first < TILE ? channels - first : TILE;
      const auto move = [&](const auto& one) SN_LAMBDA_INLINE {  // one(place in the tensor, place in the copy)
        for (int64_t n = 0; n < images; n++)
          for (int64_t c = 0; c < count; c++)
            for (int64_t s = 0; s < positions; s++) one((n * channels + first + c) * positions + s, c * pitch + n * positions + s);
      };
      for (int k = 0; k < IN; k++)
        move([&, from = in[k], to = copy + k * TILE * pitch](int64_t i, int64_t j) SN_LAMBDA_INLINE { to[j] = load1(from + i); });
      A* result = copy + IN * TILE * pitch;
      for (int64_t c = 0; c < count; c++) {
        const A* from[IN];
        for (int k = 0; k < IN; k++) from[k] = copy + (k * TILE + c) * pitch;
        f(first + c, Layout{1, numbers, 0}, from, out ? result + c * pitch : nullptr);
      }
      if (out) move([=](int64_t i, int64_t j) SN_LAMBDA_INLINE { store1(out + i, result[j]); });
    }
    free(copy);
  });
}

template <class T>
void forward(const BatchNormForward& p) {
  using A = acc_t<T>;
  const T *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  const T *running_mean = (const T*)p.running_mean, *running_var = (const T*)p.running_var;
  const T* const in[1] = {(const T*)p.x};
  for_each_channel(p.images, p.channels, p.positions, in, (T*)p.y, [&]<class U>(int64_t c, Layout l, const U* const* from, U* y) {
    const U* x = from[0];
    const Statistics s = running_mean ? Statistics{load1(running_mean + c), load1(running_var + c)} : statistics(x, l);
    const A mean = ((A*)p.mean)[c] = A(s.mean);
    ((A*)p.var)[c] = A(s.var);
    const double scale = (weight ? load1(weight + c) : 1) / __builtin_sqrt(s.var + p.eps);
    const A a = A(scale), b = A((bias ? load1(bias + c) : 0) - (s.mean - mean) * scale);
    map_channel<U>(l, [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(y + i, (get(x + i) - mean) * a + b); });
  });
}

template <class T>
void backward(const BatchNormBackward& p) {
  using A = acc_t<T>;
  const T* weight = (const T*)p.weight;
  const T* const in[2] = {(const T*)p.grad, (const T*)p.x};
  for_each_channel(p.images, p.channels, p.positions, in, (T*)p.dx, [&]<class U>(int64_t c, Layout l, const U* const* from, U* dx) {
    const U *grad = from[0], *x = from[1];
    const A mean = ((const A*)p.mean)[c];
    const double rstd = 1 / __builtin_sqrt(((const A*)p.var)[c] + p.eps), n = l.count();
    Sums<3> sums;  // of grad, grad d and d, where d = x - mean
    if (p.training || p.dweight || p.dbias)
      for_each_block(l, [&](int64_t at, const Layout& block) SN_LAMBDA_INLINE {
        const U *g = grad + at, *v = x + at;
        const auto part = sum_block<A, 3>(block, [=](int64_t i, auto get) SN_LAMBDA_INLINE {
          const vec<A> d = get(v + i) - mean, gi = get(g + i);
          return Terms<A, 3>{gi, gi * d, d};
        });
        for (int k = 0; k < 3; k++) sums.v[k] += part.v[k];
      });
    const double rest = sums.v[2] / n, sum_h = (p.training ? sums.v[1] - rest * sums.v[0] : sums.v[1]) * rstd;
    if (p.dweight) store1((T*)p.dweight + c, A(sum_h));
    if (p.dbias) store1((T*)p.dbias + c, A(sums.v[0]));
    if (!dx) return;
    const double scale = (weight ? load1(weight + c) : 1) * rstd;
    const A a = A(scale);
    if (!p.training) {
      map_channel<U>(l, [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(dx + i, get(grad + i) * a); });
      return;
    }
    const A mean_g = A(sums.v[0] / n), slope = A(scale * rstd * sum_h / n), r = A(rest);
    map_channel<U>(l, [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE {
      put(dx + i, (get(grad + i) - mean_g) * a - ((get(x + i) - mean) - r) * slope);
    });
  });
}

}  // namespace

SN_DEFINE_RUNG(BatchNormKernels, batch_norm_2) = {
    [](DType dtype, const BatchNormForward& p) { SN_FLOATS(dtype, forward<T>(p)); },
    [](DType dtype, const BatchNormBackward& p) { SN_FLOATS(dtype, backward<T>(p)); },
};

}  // namespace scratchnet
