// What both rungs ask of bags: whether they are where they say, and what a mean divides by.
#pragma once
#include "cpu/gather/index.h"
#include "ops/embedding_bag.h"

namespace scratchnet {
namespace {

// Whether the offsets rise from 0 to at most n, and every index in a bag is a row.
inline bool fits(const Bags& s) {
  if (s.offsets[0] != 0 || s.offsets[s.bags] > s.n) return false;
  for (int64_t b = 0; b < s.bags; b++)
    if (s.offsets[b] > s.offsets[b + 1]) return false;
  return inside(s.index, s.offsets[s.bags], s.rows);
}

// What the sum of a bag is multiplied by.
template <class A>
A share(const Bags& s, int64_t bag) {
  if (s.mode != BagMode::mean) return 1;
  int64_t count = 0;
  for (int64_t p = s.offsets[bag]; p < s.offsets[bag + 1]; p++) count += s.index[p] != s.padding;
  return A(1) / (count ? count : 1);
}

}  // namespace
}  // namespace scratchnet
