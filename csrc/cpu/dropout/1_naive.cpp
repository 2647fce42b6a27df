// Dropout, rung 1: the formula, one element after another, with its row's key made anew for each.
//
//   forward   y = z x + residual      reads 1 or 2, writes 1 tensor
//   backward  dx = z grad             reads 1, writes 1: the mask is drawn again
#include "cpu/ladder.h"
#include "cpu/scalar.h"
#include "ops/dropout.h"

namespace scratchnet {
namespace {

template <class T>
void apply(const T* x, const T* residual, T* y, int64_t n, double p, const int64_t* seed) {
  using A = acc_t<T>;
  const Dropout dropout(p);
  for (int64_t i = 0; i < n; i++) {
    const A v = load1(x + i) * A(dropout.factor(dropout_key(*seed, i >> DROPOUT_ROW_BITS), i));
    store1(y + i, residual ? v + load1(residual + i) : v);
  }
}

}  // namespace

SN_DEFINE_RUNG(DropoutKernels, dropout_1) = {SN_TYPED(apply)};

}  // namespace scratchnet
