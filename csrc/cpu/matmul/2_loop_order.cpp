// Matrix product, rung 2: the loops in the order ikj, so that the innermost one walks along rows of b and of the result.
//
// Neighbours in memory come with the same cache line and fit into the same register: the compiler adds several products at a
// time. In return a whole row of sums is read and written for every number of a, and b comes past once for every row of a.
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "epilogue_scalar.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const Scratch<Sum<T>> sums(size.n);
  int64_t at = 0;
  for (int64_t index = 0; index < batches(size); index++) {
    const T* a0 = (const T*)a.data + batch_offset(size, a, index);
    const T* b0 = (const T*)b.data + batch_offset(size, b, index);
    for (int64_t i = 0; i < size.m; i++, at += size.n) {
      for (int64_t j = 0; j < size.n; j++) sums[j] = first<T>(to, at + j);
      for (int64_t p = 0; p < size.k; p++) {
        const Sum<T> a_ip = load1(a0 + i * a.row + p * a.column);
        const T* b_p = b0 + p * b.row;
        for (int64_t j = 0; j < size.n; j++) sums[j] += a_ip * load1(b_p + j);
      }
      for (int64_t j = 0; j < size.n; j++) finish<T>(sums[j], to, at + j, j);
    }
  }
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_2) = {
    [](const On& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
      if (b.column != 1)  // of a transposed b the columns lie in order: the innermost loop of rung 1 walks along them
        return matmul_kernels(1).product(on, size, a, b, to);
      SN_FLOATS(on.dtype, product<T>(size, a, b, to));
    },
    SN_FROM(matmul_kernels(1), activation_backward),
};

}  // namespace scratchnet
