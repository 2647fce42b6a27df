// Memory for kernels. They are compiled without exceptions: where there is none, the process ends with a message.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pages.h"

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

inline void* or_abort(void* memory, int64_t bytes) {
  if (memory) return memory;
  fprintf(stderr, "scratchnet: out of memory: a kernel needs %lld bytes more\n", (long long)bytes);
  abort();
}

// Not initialised, from a cache line's start.
template <class T>
T* allocate(int64_t count) {
  constexpr int64_t LINE = 64;
  const int64_t bytes = (count * (int64_t)sizeof(T) / LINE + 1) * LINE;
  return (T*)or_abort(bytes < LARGE ? aligned_alloc(LINE, bytes) : sn_take_pages(bytes), bytes);
}

// All zero.
template <class T>
T* allocate_zeros(int64_t count) {
  return (T*)or_abort(calloc(count + 1, sizeof(T)), (count + 1) * sizeof(T));
}

// What these two gave.
inline void release(void* memory) {
  if ((uintptr_t)memory % HUGE_PAGE || !sn_give_pages(memory)) free(memory);
}

}  // namespace
}  // namespace scratchnet
