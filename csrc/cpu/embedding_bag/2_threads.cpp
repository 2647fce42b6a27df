// embedding_bag, rung 2: whole rows in registers, bags and rows split over the threads.
//
//   forward   reads the rows that the bags name, writes each bag once
//   backward  sorts the index: row k of dweight is the sum of the gradients of the bags it is in, and is written once
#include "bags.h"
#include "cpu/gather/sums_of_rows.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T>
void forward_max(const Bags& s, const T* weight, T* y, int64_t* which) {
  using A = acc_t<T>;
  const int64_t each = s.offsets[s.bags] / (s.bags + 1) + 1;
  parallel_for(0, s.bags, 1 + GRAIN / (each * s.columns + 1), [&](int64_t begin, int64_t end) {
    const Scratch<A> best(s.columns);
    for (int64_t b = begin; b < end; b++) {
      int64_t* const row = which + b * s.columns;
      for (int64_t j = 0; j < s.columns; j++) best[j] = 0, row[j] = -1;
      for (int64_t p = s.offsets[b]; p < s.offsets[b + 1]; p++) {
        const int64_t k = s.index[p];
        if (k == s.padding) continue;
        for (int64_t j = 0; j < s.columns; j++) {
          const A v = load1(weight + k * s.stride + j);
          const bool more = row[j] < 0 || v > best[j];
          best[j] = more ? v : best[j], row[j] = more ? k : row[j];
        }
      }
      for (int64_t j = 0; j < s.columns; j++) store1(y + b * s.columns + j, best[j]);
    }
  });
}

template <class T>
bool forward(const Bags& s, const T* weight, const T* scale, T* y, int64_t* which) {
  using A = acc_t<T>;
  if (!fits(s)) return false;
  if (s.mode == BagMode::max) return forward_max(s, weight, y, which), true;
  const auto term = [weight, scale, index = s.index, stride = s.stride, padding = s.padding](int64_t p) SN_LAMBDA_INLINE {
    const int64_t k = index[p];
    return Term<T>{k == padding ? nullptr : weight + k * stride, scale ? load1(scale + p) : A(1)};
  };
  sum_rows(s.offsets, s.bags, s.columns, (const T*)nullptr, y, term, [&](int64_t b) { return share<A>(s, b); });
  return true;
}

// Row k gets the gradients of the entries that are from it; a bag that names it twice counts once.
template <class T>
void backward_max(const Bags& s, const ByRow& by_row, const int64_t* bag, const T* grad, const int64_t* which, T* dweight) {
  using A = acc_t<T>;
  parallel_for(0, s.rows, 1 + GRAIN / (s.columns + 1), [&](int64_t begin, int64_t end) {
    const Scratch<A> sum(s.columns);
    for (int64_t k = begin; k < end; k++) {
      fill_zeros(sum);
      int64_t last = -1;
      for (const int64_t* p = by_row.first(k); p < by_row.first(k + 1); p++) {
        const int64_t b = bag[*p], at = b * s.columns;
        for (int64_t j = 0; j < s.columns && b != last; j++)
          if (which[at + j] == k) sum[j] += load1(grad + at + j);
        last = b;
      }
      for (int64_t j = 0; j < s.columns; j++) store1(dweight + k * s.columns + j, sum[j]);
    }
  });
}

template <class T>
void backward_scale(const Bags& s, const int64_t* bag, const T* grad, const T* weight, T* dscale) {
  using A = acc_t<T>;
  const int64_t used = s.offsets[s.bags];
  parallel_for(0, s.n, 1 + GRAIN / (s.columns + 1), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) {
      vec<A> dot = {};
      if (p < used && s.index[p] != s.padding) {
        const T *g = grad + bag[p] * s.columns, *w = weight + s.index[p] * s.stride;
        map<T>(0, s.columns, [&](int64_t j, auto get, auto) SN_LAMBDA_INLINE { dot += get(g + j) * get(w + j); });
      }
      store1(dscale + p, vsum(dot) * (p < used ? share<A>(s, bag[p]) : A(1)));
    }
  });
}

template <class T>
bool backward(const Bags& s, const T* grad, const T* weight, const T* scale, const int64_t* which, T* dweight, T* dscale) {
  using A = acc_t<T>;
  if (!fits(s)) return false;
  const int64_t used = s.offsets[s.bags];
  const bool shared = scale || s.mode == BagMode::mean;
  const Scratch<int64_t> bag(used);            // of each position
  const Scratch<A> shares(shared ? used : 0);  // of each position in its bag
  for (int64_t b = 0; b < s.bags; b++) {
    const A of_bag = share<A>(s, b);
    for (int64_t p = s.offsets[b]; p < s.offsets[b + 1]; p++) {
      bag[p] = b;
      if (shared) shares[p] = scale ? of_bag * load1(scale + p) : of_bag;
    }
  }
  if (dweight) {
    const ByRow by_row(s.index, used, s.rows);
    if (s.mode == BagMode::max) backward_max(s, by_row, bag.data(), grad, which, dweight);
    else {
      const auto term = [&](int64_t i) SN_LAMBDA_INLINE {
        const int64_t p = by_row.order.data()[i];
        return Term<T>{s.index[p] == s.padding ? nullptr : grad + bag.data()[p] * s.columns, shared ? shares.data()[p] : A(1)};
      };
      sum_rows(by_row.start.data(), s.rows, s.columns, (const T*)nullptr, dweight, term, [](int64_t) { return A(1); });
    }
  }
  if (dscale) backward_scale(s, bag.data(), grad, weight, dscale);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(EmbeddingBagKernels, embedding_bag_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
