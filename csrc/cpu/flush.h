// Results below the least normal number become zero, as kernels want them that multiply by an exponential: on Intel each that
// is not normal costs 150 cycles, and where logits or pre-activations are large there are many.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace scratchnet {
namespace {

// While it lives, on the thread that made it. Numbers that are read keep their value.
class FlushToZero {
#if defined(__SSE2__)
 public:
  FlushToZero() { _mm_setcsr(before | _MM_FLUSH_ZERO_ON); }
  FlushToZero(const FlushToZero&) = delete;
  ~FlushToZero() { _mm_setcsr(before); }

 private:
  const unsigned before = _mm_getcsr();
#else
 public:
  FlushToZero() {}  // elsewhere they cost little
#endif
};

}  // namespace
}  // namespace scratchnet
