// Dropout, rung 1: the formula, one thread per element.
//
//   forward   y = z x + residual      reads 1 or 2, writes 1 tensor
//   backward  dx = z grad             reads 1, writes 1: the mask is drawn again
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/dropout.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void dropout_kernel(const T* x, const T* residual, T* y, int64_t n, double p, const int64_t* seed) {
  const int64_t i = thread_index();
  if (i >= n) return;
  using A = acc_t<T>;
  const A v = load1(x + i) * A(Dropout(p).factor(dropout_key(*seed, i >> DROPOUT_ROW_BITS), i));
  store1(y + i, residual ? v + load1(residual + i) : v);
}

template <class T>
void apply(const Launch& on, const T* x, const T* residual, T* y, int64_t n, double p, const int64_t* seed) {
  launch(on, "dropout", dropout_kernel<T>, elementwise(n, THREADS), x, residual, y, n, p, seed);
}

}  // namespace

SN_DEFINE_RUNG(DropoutKernels, dropout_1) = {SN_TYPED(apply)};

}  // namespace scratchnet
