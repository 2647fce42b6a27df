// LayerNorm and RMSNorm, rung 5: a few long rows are shared by the threads, block by block.
//
// With fewer rows than threads, most threads of rung 4 have nothing to do. The sums of a row are sums of blocks anyway: threads
// take blocks, their sums wait in memory and are added in order, so that not a bit changes.
#include "cpu/column_sums.h"
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "ops/layer_norm.h"
#include "statistics.h"

namespace scratchnet {
namespace {

// Work over the columns of one row in blocks. A block is summed in float, in several registers; blocks are added in double. The
// blocks depend on nothing but the row's size, so that threads may share a row without changing a bit. The functions passed in
// capture by value: the compiler then keeps pointers and numbers in registers.
template <class A>
struct Row {
  static constexpr int64_t BLOCK = 256 * lanes<A>, SHARE = 16;  // blocks that are worth a thread
  const int64_t columns, blocks;
  const bool shared;              // few and long rows: all threads work on one row, else each has rows of its own
  const Scratch<double> partial;  // (blocks, up to 3): the blocks' sums of a shared row

  Row(int64_t rows, int64_t columns)
      : columns(columns),
        blocks(ceil_div(columns, BLOCK)),
        shared(rows < 16 && blocks >= 2 * SHARE),
        partial(shared ? blocks : 0, 3) {}

  // f(begin, end) for ranges that make up the row
  template <class F>
  SN_INLINE void for_each_range(const F& f) const {
    if (!shared) return f(0, columns);
    parallel_for(0, blocks, SHARE, [=, this](int64_t begin, int64_t end) { f(begin * BLOCK, min(end * BLOCK, columns)); });
  }

  // The sums over the row of the K terms that f(j, get) has for columns j, j + 1, ...
  template <int K, class F>
  SN_INLINE Sums<K> sum(const F& f) const {
    Sums<K> total;
    if (!shared) {
      for (int64_t b = 0; b < blocks; b++) total += block_sum<K>(b, f);
      return total;
    }
    parallel_for(0, blocks, SHARE, [=, this](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; b++) *(Sums<K>*)partial.at(b * K, K) = block_sum<K>(b, f);
    });
    for (int64_t b = 0; b < blocks; b++) total += *(const Sums<K>*)partial.at(b * K, K);
    return total;
  }

 private:
  template <int K, class F>
  SN_INLINE Sums<K> block_sum(int64_t b, const F& f) const {
    return sum_block<A, K>(b * BLOCK, min((b + 1) * BLOCK, columns), f);
  }
};

template <class T, bool centred>
void forward(const NormForward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  const Row<A> row(p.rows, D);
  const auto normalise = [&](int64_t i) {
    const T* x = (const T*)p.x + i * D;
    T* y = (T*)p.y + i * D;
    if (p.residual) {
      const T *residual = (const T*)p.residual + i * D, *term = x;
      T* total = (T*)p.total + i * D;
      row.for_each_range([=](int64_t begin, int64_t end) {
        map<T>(begin, end,
               [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { put(total + j, get(term + j) + get(residual + j)); });
      });
      x = total;
    }
    const auto [mean, rest, rstd] = statistics<centred>(row, x, p.eps);
    row.for_each_range([=, mean = mean, rest = rest, rstd = rstd](int64_t begin, int64_t end) {
      map<T>(begin, end, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        vec<A> h = get(x + j);
        h = (centred ? (h - mean) - rest : h) * rstd;
        if (weight) h *= get(weight + j);
        if (bias) h += get(bias + j);
        put(y + j, h);
      });
    });
    if (centred) ((A*)p.mean)[i] = mean;
    ((A*)p.rstd)[i] = rstd;
  };
  const auto rows = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) normalise(i);
  };
  // Shared rows one after the other: they use the same partial sums. A grain of all rows is no promise of that: where threads
  // are quick to wake it shrinks.
  row.shared ? rows(0, p.rows) : parallel_for(0, p.rows, 1 + GRAIN / (D + 1), rows);
}

template <class T>
void forward(const NormForward& p) {
  p.mean ? forward<T, true>(p) : forward<T, false>(p);
}

template <class T, bool centred>
void backward(const NormBackward& p) {
  using A = acc_t<T>;
  const int64_t D = p.columns;
  const T* weight = (const T*)p.weight;
  const bool need_weight = p.dweight, need_bias = p.dbias;
  const Row<A> row(p.rows, D);
  ColumnSums<A, 2> column_sums(p.rows, D);
  column_sums.for_each_chunk([&](int64_t first, int64_t last, A* dweight_partial) {
    A* dbias_partial = dweight_partial + D;
    for (int64_t i = first; i < last; i++) {
      const T *x = (const T*)p.x + i * D, *grad = (const T*)p.grad + i * D;
      const T* grad_total = p.grad_total ? (const T*)p.grad_total + i * D : nullptr;
      T* dx = p.dx ? (T*)p.dx + i * D : nullptr;
      const A mean = centred ? ((const A*)p.mean)[i] : 0, rstd = ((const A*)p.rstd)[i];

      Sums<3> sums;  // of a, a d and d, where d = x - mean
      if (centred && (dx || need_weight))
        sums = row.template sum<3>([=](int64_t j, auto get) SN_LAMBDA_INLINE {
          const vec<A> d = get(x + j) - mean, g = get(grad + j), a = weight ? g * get(weight + j) : g;
          return Terms<A, 3>{a, a * d, d};
        });
      else if (dx)
        sums.v[1] = row.template sum<1>([=](int64_t j, auto get) SN_LAMBDA_INLINE {
                         const vec<A> g = get(grad + j), a = weight ? g * get(weight + j) : g;
                         return Terms<A, 1>{a * get(x + j)};
                       })
                        .v[0];
      const A rest = A(sums.v[2] / D), mean_a = A(sums.v[0] / D);
      const A mean_ah = A((sums.v[1] - sums.v[2] / D * sums.v[0]) / D * rstd);

      row.for_each_range([=](int64_t begin, int64_t end) {
        map<T>(begin, end, [=](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
          const vec<A> v = get(x + j), g = get(grad + j), h = (centred ? (v - mean) - rest : v) * rstd;
          if (dx) {
            const vec<A> a = weight ? g * get(weight + j) : g;
            const vec<A> d = (a - mean_a - h * mean_ah) * rstd;
            put(dx + j, grad_total ? d + get(grad_total + j) : d);
          }
          if (need_weight) put(dweight_partial + j, get(dweight_partial + j) + g * h);
          if (need_bias) put(dbias_partial + j, get(dbias_partial + j) + g);
        });
      });
    }
  });
  if (need_weight) column_sums.total((T*)p.dweight, 0);
  if (need_bias) column_sums.total((T*)p.dbias, 1);
}

template <class T>
void backward(const NormBackward& p) {
  p.mean ? backward<T, true>(p) : backward<T, false>(p);
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_5) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
