// embedding_bag, rung 1: one number after another.
//
//   sum, mean   y[b][j] = share * sum of scale[p] * weight[index[p]][j]      dweight[index[p]][j] += share * scale[p] * g[b][j]
//   max         y[b][j] = the largest weight[index[p]][j], the first of equals      dweight[the row it is from][j] += g[b][j]
//   all         dscale[p] = sum over j of g[b][j] * weight[index[p]][j]
//
// share is 1 for a sum and 1 / the number of entries for a mean.
#include <vector>

#include "bags.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class T>
bool forward(const Bags& s, const T* weight, const T* scale, T* y, int64_t* which) {
  using A = acc_t<T>;
  if (!fits(s)) return false;
  for (int64_t b = 0; b < s.bags; b++)
    for (int64_t j = 0; j < s.columns; j++) {
      A result = 0;
      int64_t row = -1;
      for (int64_t p = s.offsets[b]; p < s.offsets[b + 1]; p++) {
        const int64_t k = s.index[p];
        if (k == s.padding) continue;
        const A v = load1(weight + k * s.stride + j);
        if (s.mode != BagMode::max) result += (scale ? load1(scale + p) : A(1)) * v;
        else if (row < 0 || v > result) result = v, row = k;
      }
      store1(y + b * s.columns + j, result * share<A>(s, b));
      if (s.mode == BagMode::max) which[b * s.columns + j] = row;
    }
  return true;
}

template <class T>
bool backward(const Bags& s, const T* grad, const T* weight, const T* scale, const int64_t* which, T* dweight, T* dscale) {
  using A = acc_t<T>;
  if (!fits(s)) return false;
  std::vector<A> sum(dweight ? s.rows : 0);
  for (int64_t j = 0; dweight && j < s.columns; j++) {
    for (auto& v : sum) v = 0;
    for (int64_t b = 0; b < s.bags; b++) {
      const A g = load1(grad + b * s.columns + j);
      if (s.mode == BagMode::max && which[b * s.columns + j] >= 0) sum[which[b * s.columns + j]] += g;
      for (int64_t p = s.offsets[b]; p < s.offsets[b + 1] && s.mode != BagMode::max; p++) {
        const int64_t k = s.index[p];
        if (k == s.padding) continue;
        sum[k] += (scale ? load1(scale + p) : A(1)) * share<A>(s, b) * g;
      }
    }
    for (int64_t k = 0; k < s.rows; k++) store1(dweight + k * s.columns + j, sum[k]);
  }
  for (int64_t p = 0; dscale && p < s.n; p++) dscale[p] = T{};
  for (int64_t b = 0; dscale && b < s.bags; b++)
    for (int64_t p = s.offsets[b]; p < s.offsets[b + 1]; p++) {
      A dot = 0;
      for (int64_t j = 0; j < s.columns && s.index[p] != s.padding; j++)
        dot += load1(grad + b * s.columns + j) * load1(weight + s.index[p] * s.stride + j);
      store1(dscale + p, dot * share<A>(s, b));
    }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(EmbeddingBagKernels, embedding_bag_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
