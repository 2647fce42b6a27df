// The one CUB algorithm that csrc/cuda calls: a stable sort, in the two calls that CUB prescribes.
#pragma once
#include <cuda_runtime.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace cub {

struct DeviceRadixSort {
  template <class Key, class Value>
  static cudaError_t SortPairs(void* memory, size_t& bytes, const Key* keys, Key* sorted_keys, const Value* values,
                               Value* sorted_values, int64_t n, int begin_bit = 0, int end_bit = 8 * sizeof(Key), cudaStream_t = nullptr) {
    if (!memory) {
      bytes = n * sizeof(Key) + 1;
      return cudaSuccess;
    }
    const auto digits = [&](int64_t i) { return uint64_t(keys[i]) << (64 - end_bit) >> (64 - end_bit) >> begin_bit; };
    std::vector<int64_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return digits(a) < digits(b); });
    for (int64_t i = 0; i < n; i++) sorted_keys[i] = keys[order[i]], sorted_values[i] = values[order[i]];
    memset(memory, 0xff, bytes);  // all of it must be ours
    return cudaSuccess;
  }
};

}  // namespace cub
