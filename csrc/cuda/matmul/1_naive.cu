// Matrix product, rung 1: the definition, y_ij = sum over p of a_ip b_pj, one thread per element of y.
//
// 2 m n k flops, but every number comes from global memory (at best from its cache) for each of its uses: two loads for one
// multiply-add.
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/matmul/batch.cuh"
#include "cuda/scalar.cuh"
#include "ops/activation_scalar.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void matmul_product_kernel(Batch batch, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Epilogue to) {
  const int64_t at = thread_index();
  if (at >= batch.count * m * n) return;
  const int64_t j = at % n, i = at / n % m, index = at / n / m;
  const T* a_i = (const T*)a.data + batch.a_offset(index) + i * a.row;
  const T* b_j = (const T*)b.data + batch.b_offset(index) + j * b.column;
  acc_t<T> z = 0;
  for (int64_t p = 0; p < k; p++) z += load1(a_i + p * a.column) * load1(b_j + p * b.row);
  if (to.accumulate) z += load1((const T*)to.y + at);
  if (to.bias) z += load1((const T*)to.bias + j);
  if (to.z) store1((T*)to.z + at, z);
  store1((T*)to.y + at, activate(z, to.activation));
}

template <class T>
void product(const Launch& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const Batch batch(size, a, b);
  const Grid grid = elementwise(batch.count * size.m * size.n, THREADS);
  launch(on, "matmul_product", matmul_product_kernel<T>, grid, batch, size.m, size.n, size.k, a, b, to);
}

// A thread walks down a column.
template <class T>
__global__ void linear_activation_backward_kernel(const T* grad, const T* saved, T* dz, T* dbias, int64_t rows, int64_t columns,
                                                  Activation activation) {
  const int64_t j = thread_index();
  if (j >= columns) return;
  double sum = 0;
  for (int64_t i = 0; i < rows; i++) {
    const int64_t at = i * columns + j;
    acc_t<T> d = load1(grad + at);
    if (activation != Activation::none) d *= slope(load1(saved + at), activation);
    if (dz) store1(dz + at, d);
    sum += d;
  }
  if (dbias) store1(dbias + j, acc_t<T>(sum));
}

template <class T>
void activation_backward(const Launch& on, const T* grad, const T* saved, T* dz, T* dbias, int64_t rows, int64_t columns,
                         Activation activation) {
  const Grid grid = elementwise(columns, THREADS);
  const auto kernel = linear_activation_backward_kernel<T>;
  launch(on, "linear_activation_backward", kernel, grid, grad, saved, dz, dbias, rows, columns, activation);
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_1) = {
    SN_TYPED(product),
    SN_TYPED(activation_backward),
};

}  // namespace scratchnet
