// Matrix product, rung 1: the definition, y_ij = sum over p of a_ip b_pj, in three loops.
//
// 2 m n k flops, but b is read down its columns: every number comes from another cache line, and one sum is added to at a time.
#include "cpu/ladder.h"
#include "epilogue_scalar.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  int64_t at = 0;
  for (int64_t index = 0; index < batches(size); index++) {
    const T* a0 = (const T*)a.data + batch_offset(size, a, index);
    const T* b0 = (const T*)b.data + batch_offset(size, b, index);
    for (int64_t i = 0; i < size.m; i++)
      for (int64_t j = 0; j < size.n; j++, at++) {
        Sum<T> sum = first<T>(to, at);
        for (int64_t p = 0; p < size.k; p++)
          sum += Sum<T>(load1(a0 + i * a.row + p * a.column)) * load1(b0 + p * b.row + j * b.column);
        finish<T>(sum, to, at, j);
      }
  }
}

template <class T>
void activation_backward(const T* grad, const T* saved, T* dz, T* dbias, int64_t rows, int64_t columns, Activation activation) {
  for (int64_t j = 0; j < columns; j++) {
    Sum<T> sum = 0;
    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = i * columns + j;
      acc_t<T> d = load1(grad + at);
      if (activation != Activation::none) d *= slope(load1(saved + at), activation);
      if (dz) store1(dz + at, d);
      sum += d;
    }
    if (dbias) store1(dbias + j, acc_t<T>(sum));
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_1) = {SN_TYPED(product), SN_TYPED(activation_backward)};

}  // namespace scratchnet
