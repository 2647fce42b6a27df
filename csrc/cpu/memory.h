// Memory for kernels. They are compiled without exceptions: where there is none, the process ends with a message.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

inline void* or_abort(void* memory, int64_t bytes) {
  if (memory) return memory;
  fprintf(stderr, "scratchnet: out of memory: a kernel needs %lld bytes more\n", (long long)bytes);
  abort();
}

// Not initialised, from a cache line's start, to be given to free(). Large memory comes on huge pages if the system has them: a
// page fault every 4 KiB would cost more than what is then done with the memory.
template <class T>
T* allocate(int64_t count) {
  constexpr int64_t HUGE_PAGE = 1 << 21;
  const bool large = count * (int64_t)sizeof(T) >= 2 * HUGE_PAGE;
  const int64_t unit = large ? HUGE_PAGE : 64, bytes = (count * (int64_t)sizeof(T) / unit + 1) * unit;
  void* const memory = or_abort(aligned_alloc(unit, bytes), bytes);
#ifdef MADV_HUGEPAGE
  if (large) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return (T*)memory;
}

// All zero: large memory comes so from the system, untouched.
template <class T>
T* allocate_zeros(int64_t count) {
  return (T*)or_abort(calloc(count + 1, sizeof(T)), (count + 1) * sizeof(T));
}

}  // namespace
}  // namespace scratchnet
