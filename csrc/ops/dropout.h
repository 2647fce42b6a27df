// Dropout: y = z x + residual, z 0 where an element is taken away, else 1 / (1 - p). The mask is not saved: backward makes it
// again from the seed.
#pragma once
#include "ops/table.h"

namespace scratchnet {

// All tensors are contiguous and have n elements. The backward is the same without a residual: dx = z grad.
struct DropoutKernels {
  void (*apply)(const On&, const void* x, const void* residual, void* y, int64_t n, double p, const int64_t* seed);
};

const DropoutKernels& dropout_kernels(int64_t rung);

// ---- A random number for each element that depends on the seed and the element's place alone ------------------------------
//
// A place is (row, j). Attention has a row for each query, j is the key. A whole tensor is rows of 2^32 elements, for its
// 64-bit places: nearly always a single one.

namespace {  // anonymous: each instruction set keeps its own copy

constexpr int DROPOUT_ROW_BITS = 32;

// For one row: SplitMix64, https://doi.org/10.1145/2714064.2660195
SN_ANYWHERE inline uint64_t dropout_key(int64_t seed, int64_t row) {
  uint64_t x = (uint64_t)seed + ((uint64_t)row + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// 32 random bits for element j of that row: two multiplications of 32 bits, which every vector unit has.
// https://nullprogram.com/blog/2018/07/31/ (lowbias32), entered from both halves of the row's number.
// U is uint32_t, or a vector of them.
template <class U>
SN_ANYWHERE inline U dropout_bits(uint64_t key, U j) {
  U x = j + (uint32_t)key;
  x = (x ^ x >> 16) * 0x7feb352du ^ (uint32_t)(key >> 32);
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

// What becomes of a number: `scale` times itself where the bits are at least `threshold`, else 0 times itself.
struct Dropout {
  uint32_t threshold;
  double scale;
  SN_ANYWHERE explicit Dropout(double p)
      : threshold(p * 4294967296. < 4294967295. ? (uint32_t)(p * 4294967296.) : 4294967295u), scale(p < 1 ? 1 / (1 - p) : 0) {}
  SN_ANYWHERE double factor(uint64_t key, int64_t j) const { return dropout_bits(key, (uint32_t)j) >= threshold ? scale : 0; }
};

}  // namespace
}  // namespace scratchnet
