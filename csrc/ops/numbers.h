// Arithmetic with sizes.
#pragma once
#include "ops/types.h"

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

SN_ANYWHERE constexpr int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
SN_ANYWHERE constexpr int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
SN_ANYWHERE constexpr int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }
SN_ANYWHERE constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Whether the product of sizes fits into 64 bits; then it is put into `product`. What says how much memory is needed goes
// through this, by product_of of memory.h or of bindings/sizes.h.
template <class... Sizes>
bool multiplied(int64_t& product, int64_t first, Sizes... sizes) {
  bool wraps = false;
  ((wraps |= __builtin_mul_overflow(first, (int64_t)sizes, &first)), ...);
  product = first;
  return !wraps;
}

}  // namespace
}  // namespace scratchnet
