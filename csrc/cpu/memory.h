// Memory for kernels: `Scratch`, which is given back when its scope ends, also by an exception.
#pragma once
#include <stddef.h>

#include "ops/numbers.h"

// `bytes` of uninitialised memory, aligned to a cache line; from LARGE on, kept pages (pages.h). Throws OutOfMemory
// (memory.cpp), which is Python's MemoryError, if giving the kept pages back to the system did not help.
void* sn_allocate(int64_t bytes);
// Throws std::runtime_error: sizes whose product passes 2^63.
[[noreturn]] void sn_sizes_wrap();
// What sn_allocate gave, or null.
void sn_release(void* memory);

#ifdef SN_DEBUG
// Ends the process with a message: a kernel reaches past memory of its own.
[[noreturn]] void sn_out_of_bounds(const char* file, int line, int64_t from, int64_t count, int64_t size);
#endif

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

template <class... Sizes>
int64_t product_of(Sizes... sizes) {
  int64_t product;
  if (!multiplied(product, sizes...) || product < 0) [[unlikely]]
    sn_sizes_wrap();
  return product;
}

// Memory for as many T as the product of `sizes`, not initialised. Code that passes on a part of it states its extent with
// `at`; a build with SCRATCHNET_DEBUG=1 checks it.
template <class T>
class Scratch {
 public:
  template <class... Sizes>
  explicit Scratch(Sizes... sizes) : size(product_of(sizes...)), memory((T*)sn_allocate(product_of(size, sizeof(T)))) {}
  Scratch(const Scratch&) = delete;
  ~Scratch() { sn_release(memory); }

#ifdef SN_DEBUG
  T* at(int64_t from, int64_t count, const char* file = __builtin_FILE(), int line = __builtin_LINE()) const {
    if (from < 0 || count < 0 || count > size - from) sn_out_of_bounds(file, line, from, count, size);
    return memory + from;
  }
#else
  T* at(int64_t from, int64_t) const { return memory + from; }  // the numbers [from, from + count)
#endif
  T* data() const { return memory; }
  T& operator[](int64_t i) const { return *at(i, 1); }

  const int64_t size;

 private:
  T* const memory;
};

template <class T>
void fill_zeros(const Scratch<T>& scratch) {
  for (int64_t i = 0; i < scratch.size; i++) scratch.data()[i] = T{};
}

}  // namespace
}  // namespace scratchnet
