// Results below the least normal number become zero, as kernels want them that multiply by an exponential: on Intel each that
// is not normal costs 150 cycles, and where logits or pre-activations are large there are many.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace scratchnet {
namespace {

// While it lives, on the thread that made it. Numbers that are read keep their value. Made once for many rows: on some CPUs a
// change of the mode waits for all that is under way (70 ns for its two on AMD Zen 5, as long as a row of ten exponentials).
class FlushToZero {
#if defined(__SSE2__)
 public:
  explicit FlushToZero(bool on = true) { _mm_setcsr(before | (on ? _MM_FLUSH_ZERO_ON : 0)); }
  FlushToZero(const FlushToZero&) = delete;
  ~FlushToZero() { _mm_setcsr(before); }

 private:
  const unsigned before = _mm_getcsr();
#else
 public:
  explicit FlushToZero(bool = true) {}  // elsewhere they cost little
#endif
};

}  // namespace
}  // namespace scratchnet
