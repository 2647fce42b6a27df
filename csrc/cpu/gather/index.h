// What the rungs from the second on do with an index before they use it: check its range, sort it.
#pragma once
#include "cpu/memory.h"
#include "cpu/scalar.h"

namespace scratchnet {
namespace {

// Whether rows of indices, `row` apart, all lie in [0, size): then neither k nor size - 1 - k has a sign. (A maximum of
// unsigned numbers would take AVX2 twice as many instructions.)
SN_INLINE bool inside(const int64_t* index, int64_t rows, int64_t columns, int64_t row, int64_t size) {
  const uint64_t last = size - 1;
  uint64_t signs = 0;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const uint64_t k = index[i * row + j];
      signs |= k | (last - k);
    }
  return (int64_t)signs >= 0;
}
SN_INLINE bool inside(const int64_t* index, int64_t n, int64_t size) { return inside(index, 1, n, 0, size); }

constexpr int64_t CHECKED = 2048;  // indices checked ahead of their use: 16 KiB

// Set by the thread that meets an index out of range.
struct Flag {
  int set = 0;
  void raise() { __atomic_store_n(&set, 1, __ATOMIC_RELAXED); }
};

// The positions of an index sorted by row, in their own order within a row: those of row k are order[start[k]] to
// order[start[k + 1] - 1].
struct ByRow {
  const Scratch<int64_t> start, order;  // (rows + 1), (n)

  ByRow(const int64_t* index, int64_t n, int64_t rows) : start(rows + 1), order(n) {
    fill_zeros(start);
    for (int64_t i = 0; i < n; i++) start[index[i] + 1]++;             // start[k + 1]: how often k occurs,
    for (int64_t k = 0; k < rows; k++) start[k + 1] += start[k];       // where k ends,
    for (int64_t k = rows; k > 0; k--) start[k] = start[k - 1];        // where k begins,
    for (int64_t i = 0; i < n; i++) order[start[index[i] + 1]++] = i;  // the next place of k, in the end where k + 1 begins
  }
  const int64_t* first(int64_t k) const { return order.data() + start[k]; }
};

}  // namespace
}  // namespace scratchnet
