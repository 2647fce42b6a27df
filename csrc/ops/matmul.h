// Matrix products: y = act(a b + bias). A linear layer is the product with b = weight^T, and both gradients of a product are
// products again, with the strides of one operand swapped:  da = dy b^T,  db = a^T dy.
#pragma once
#include "ops/activation.h"
#include "ops/table.h"

namespace scratchnet {

// A batch of matrices in any layout: element (i, j) lies at data[i * row + j * column + the batch axes' strides].
struct Matrix {
  const void* data;
  int64_t row, column;   // strides in elements; 0 repeats a row or a column
  const int64_t* batch;  // strides of the batch axes

  Matrix transposed() const { return {data, column, row, batch}; }
};

// a (batch..., m, k) times b (batch..., k, n)
struct ProductSizes {
  int64_t m, n, k;
  int64_t axes = 0;                // of the batch
  const int64_t* batch = nullptr;  // their sizes
};

namespace {  // anonymous: each instruction set keeps its own copy

inline int64_t batches(const ProductSizes& size) {
  int64_t count = 1;
  for (int64_t i = 0; i < size.axes; i++) count *= size.batch[i];
  return count;
}

// Where matrix number `index` of the batch begins.
inline int64_t batch_offset(const ProductSizes& size, const Matrix& matrix, int64_t index) {
  int64_t offset = 0;
  for (int64_t i = size.axes - 1; i >= 0; i--) {
    offset += index % size.batch[i] * matrix.batch[i];
    index /= size.batch[i];
  }
  return offset;
}

}  // namespace

// What becomes of a product: z = product + bias, y = act(z), both (batch..., m, n) in order.
struct Epilogue {
  void* y;
  void* z = nullptr;           // null: not stored
  const void* bias = nullptr;  // (n), or null
  Activation activation = Activation::none;
  bool accumulate = false;  // y += product instead; for float32 and float64 without z, bias and activation
};

struct MatmulKernels {
  void (*product)(const On&, const ProductSizes&, const Matrix& a, const Matrix& b, const Epilogue&);
  // dz = grad act'(saved), dbias (columns) = sum of dz over the rows; either may be null. saved: z for GELU, y for ReLU.
  void (*activation_backward)(const On&, const void* grad, const void* saved, void* dz, void* dbias, int64_t rows,
                              int64_t columns, Activation);
};

const MatmulKernels& matmul_kernels(int64_t rung);
extern const int64_t matmul_rungs;

}  // namespace scratchnet
