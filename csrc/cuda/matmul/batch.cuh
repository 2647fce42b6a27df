// The batch of a product as its kernels take it, by value.
#pragma once
#include <cuda_runtime.h>

#include "ops/matmul.h"

namespace scratchnet {
namespace {

constexpr int MOST_AXES = 62;  // a torch tensor has at most 64; two are the matrix's own

constexpr int64_t MOST_MATRICES = 65535;  // of a launch: blocks along y

// The axes with more than one entry; adjacent ones that a single stride covers are merged. Almost always one is left.
struct Batch {
  int64_t count;  // of matrices
  int axes = 0;
  int64_t size[MOST_AXES], a[MOST_AXES], b[MOST_AXES];

  Batch(const ProductSizes& sizes, const Matrix& from_a, const Matrix& from_b) : count(batches(sizes)) {
    for (int64_t i = 0; i < sizes.axes; i++) {
      const int64_t n = sizes.batch[i], a_stride = from_a.batch[i], b_stride = from_b.batch[i];
      if (n == 1) continue;
      const bool merge = axes && a[axes - 1] == n * a_stride && b[axes - 1] == n * b_stride;
      size[axes] = n;
      if (merge) size[--axes] *= n;
      a[axes] = a_stride, b[axes] = b_stride;
      axes++;
    }
  }

  // Where matrix number `index` of a and of b begins.
  __device__ int64_t a_offset(int64_t index) const { return offset(a, index); }
  __device__ int64_t b_offset(int64_t index) const { return offset(b, index); }

 private:
  __device__ int64_t offset(const int64_t* strides, int64_t index) const {
    int64_t at = 0;
    for (int i = axes - 1; i > 0; i--) {
      at += index % size[i] * strides[i];
      index /= size[i];
    }
    return axes ? at + index * strides[0] : 0;
  }
};

}  // namespace
}  // namespace scratchnet
