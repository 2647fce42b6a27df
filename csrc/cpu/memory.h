// Memory for kernels. They are compiled without exceptions: where there is none, the process ends with a message.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

inline void* or_abort(void* memory, int64_t bytes) {
  if (memory) return memory;
  fprintf(stderr, "scratchnet: out of memory: a kernel needs %lld bytes more\n", (long long)bytes);
  abort();
}

// Not initialised, from a cache line's start, to be given to free().
template <class T>
T* allocate(int64_t count) {
  const int64_t bytes = (count * (int64_t)sizeof(T) / 64 + 1) * 64;
  return (T*)or_abort(aligned_alloc(64, bytes), bytes);
}

// All zero: large memory comes so from the system, untouched.
template <class T>
T* allocate_zeros(int64_t count) {
  return (T*)or_abort(calloc(count + 1, sizeof(T)), (count + 1) * sizeof(T));
}

}  // namespace
}  // namespace scratchnet
