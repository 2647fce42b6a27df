// Convolution, rung 5: threads (thread_tiles.h), for y and for dx, which is the same sum of other numbers (gradient.h).
#include "gradient.h"
#include "thread_tiles.h"

namespace scratchnet {
namespace {

template <class T>
void correlate(const Correlation<T>& c) {
  correlate_tiles(c);
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_5) = {correlation_forward, correlation_backward};

}  // namespace scratchnet
