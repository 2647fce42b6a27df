// Registers of b that are no panel's: from where it lies, copied into a panel on the way, or with an eye on the next panel.
#pragma once
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t AHEAD = 8;  // how many terms before its use a row of b that lies far from the last one is fetched

// The registers of b where it lies, with `step` numbers from row to row.
template <class T>
SN_INLINE auto columns_in_place(const T* b, int64_t step) {
  return [=](int64_t p, int v) SN_LAMBDA_INLINE {
    const T* const from = b + p * step + v * lanes<acc_t<T>>;
    __builtin_prefetch(from + AHEAD * step);
    return load(from);
  };
}
// The same, and what is read becomes a panel for the next tiles.
template <class T>
SN_INLINE auto copied_columns(const T* b, int64_t step, acc_t<T>* panel) {
  return [=, in_place = columns_in_place(b, step)](int64_t p, int v) SN_LAMBDA_INLINE {
    const auto numbers = in_place(p, v);
    store(panel + p * COLUMNS<acc_t<T>> + v * lanes<acc_t<T>>, numbers);
    return numbers;
  };
}
// Registers of b, while in every 2^shift-th step one more row of what begins at `next` is fetched into L2.
template <class T, class Registers>
SN_INLINE auto fetching(const Registers& b, const T* next, int64_t step, int shift) {
  return [=](int64_t p, int v) SN_LAMBDA_INLINE {
    constexpr int64_t LINE = 64 / sizeof(T), N = lanes<acc_t<T>>;
    if (v * N % LINE == 0 && !(p & ((1 << shift) - 1))) __builtin_prefetch(next + (p >> shift) * step + v * N, 0, 2);
    return b(p, v);
  };
}

}  // namespace
}  // namespace scratchnet
