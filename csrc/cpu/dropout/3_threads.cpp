// Dropout, rung 3: the elements are split over the threads. An element's random number depends on its place alone, so that the
// bits do not depend on who draws it.
//
//   forward   y = z x + residual      reads 1 or 2, writes 1 tensor:   8 or 12 bytes per element (float32)
//   backward  dx = z grad             reads 1, writes 1:               8 bytes; a saved mask would add 4, here and in forward
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "masked.h"

namespace scratchnet {
namespace {

template <class T>
void apply(const T* x, const T* residual, T* y, int64_t n, double p, const int64_t* seed) {
  const Dropout dropout(p);
  parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) { masked(x, residual, y, begin, end, dropout, *seed); });
}

}  // namespace

SN_DEFINE_RUNG(DropoutKernels, dropout_3) = {SN_TYPED(apply)};

}  // namespace scratchnet
