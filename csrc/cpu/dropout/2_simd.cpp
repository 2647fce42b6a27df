// Dropout, rung 2: a register of random numbers at a time, the key once for a row.
//
//   forward   y = z x + residual      reads 1 or 2, writes 1 tensor
//   backward  dx = z grad             reads 1, writes 1: the mask is drawn again
#include "cpu/ladder.h"
#include "masked.h"

namespace scratchnet {
namespace {

template <class T>
void apply(const T* x, const T* residual, T* y, int64_t n, double p, const int64_t* seed) {
  masked(x, residual, y, 0, n, Dropout(p), *seed);
}

}  // namespace

SN_DEFINE_RUNG(DropoutKernels, dropout_2) = {SN_TYPED(apply)};

}  // namespace scratchnet
