// csrc/cpu/memory.h: malloc for small pieces, kept pages for large ones, an exception where there is no memory.
#include "cpu/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include <new>
#include <stdexcept>
#include <string>

#include "cpu/pages.h"

namespace {

// A bad_alloc, which pybind11, and with it torch, turns into Python's MemoryError.
struct OutOfMemory : std::bad_alloc {
  std::string text;
  explicit OutOfMemory(int64_t bytes)
      : text("scratchnet: out of memory: a kernel needs " + std::to_string(bytes) +
             " bytes more; use smaller batches or fewer threads") {}
  const char* what() const noexcept override { return text.c_str(); }
};

constexpr int64_t LINE = 64;

void* lines(int64_t bytes) {
#ifdef __SANITIZE_ADDRESS__  // to the byte: the sanitizer does not see what reaches into the rest of a line
  void* memory = nullptr;
  return posix_memalign(&memory, LINE, bytes) ? nullptr : memory;
#else
  return aligned_alloc(LINE, (bytes / LINE + 1) * LINE);
#endif
}

}  // namespace

void* sn_allocate(int64_t bytes) {
  using namespace scratchnet;
  const auto take = [=] { return bytes < LARGE ? lines(bytes) : sn_take_pages(bytes); };
  void* memory = take();
  if (!memory && sn_release_kept_pages()) memory = take();
  if (!memory) throw OutOfMemory(bytes);
  return memory;
}

void sn_release(void* memory) {
  if ((uintptr_t)memory % scratchnet::HUGE_PAGE || !sn_give_pages(memory)) free(memory);
}

void sn_sizes_wrap() { throw std::runtime_error("scratchnet: a kernel would need more than 2^63 bytes for these sizes"); }

#ifdef SN_DEBUG
void sn_out_of_bounds(const char* file, int line, int64_t from, int64_t count, int64_t size) {
  fprintf(stderr, "scratchnet: %s:%d reaches for numbers %lld to %lld of %lld\n", file, line, (long long)from,
          (long long)(from + count), (long long)size);
  abort();
}
#endif
