// What every rung asks of bags: whether they are where they say, and what a mean divides by.
#pragma once
#include "cuda/device.cuh"
#include "ops/embedding_bag.h"

namespace scratchnet {
namespace {

// The positions of bag b. One more, s.bags, has what lies behind the last.
struct Bag {
  int64_t first, last;

  __device__ __forceinline__ Bag(const Bags& s, int64_t b) : first(s.offsets[b]), last(b < s.bags ? s.offsets[b + 1] : s.n) {
    SN_ASSERT((b || !first) && 0 <= first && first <= last && last <= s.n);
  }
};

// The row that a position in a bag names, -1 where it counts as absent.
__device__ __forceinline__ int64_t row_at(const Bags& s, int64_t position) {
  const int64_t k = s.index[position];
  SN_ASSERT(0 <= k && k < s.rows);
  return k == s.padding ? -1 : k;
}

// What the sum of a bag is multiplied by.
template <class A>
__device__ __forceinline__ A share(const Bags& s, const Bag& bag) {
  if (s.mode != BagMode::mean) return 1;
  int64_t count = 0;
  for (int64_t p = bag.first; p < bag.last; p++) count += row_at(s, p) >= 0;
  return A(1) / (count ? count : 1);
}

}  // namespace
}  // namespace scratchnet
