// Mistakes that the sanitizers and the debug build have to catch, in the kernels' terms: test_sanitizers.py builds this with
// csrc's memory and threads, as the module is built, and calls each function from Python. `mistake` is 0 or 1; 0 is right.
#include <string.h>

#include "cpu/memory.h"
#include "cpu/parallel.h"

using namespace scratchnet;

extern "C" {
#define PLANTED __attribute__((visibility("default"))) void

// The next tile of a workspace is one number too long.
PLANTED tile(float* x, int64_t n, int64_t mistake) {
  const Scratch<float> tiles(2, n);
  memcpy(tiles.at(n, n + mistake), x, n * sizeof(float));
}

// A partial sum for each block, but the last block is not counted.
PLANTED partial_sum(float* x, int64_t n, int64_t mistake) {
  const Scratch<float> sums(n - mistake);
  for (int64_t i = 0; i < n; i++) sums[i] = x[i];
}

// The same, bypassing `at`, in memory that is small, or large and then not on kept pages.
PLANTED workspace(float* x, int64_t n, int64_t mistake) {
  const Scratch<float> memory(n);
  memcpy(memory.data() + mistake, x, n * sizeof(float));
}

PLANTED large_workspace(float* x, int64_t n, int64_t mistake) {
  const Scratch<float> memory(1 << 22);
  memcpy(memory.data() + memory.size - n + mistake, x, n * sizeof(float));
}

// A tensor is one number too short.
PLANTED tensor_read(float* x, int64_t n, int64_t mistake) {
  volatile float sum = 0;
  for (int64_t i = 0; i < n + mistake; i++) sum = sum + x[i];
}

PLANTED tensor_write(float* x, int64_t n, int64_t mistake) {
  for (int64_t i = 0; i < n + mistake; i++) x[i] = 1;
}

PLANTED freed(float* x, int64_t n, int64_t mistake) {
  volatile float* const memory = (float*)sn_allocate(n * sizeof(float));
  if (mistake) sn_release((void*)memory);
  memory[0] = x[0];
  if (!mistake) sn_release((void*)memory);
}

// A size that wraps, a shift past the last bit, a misaligned number.
PLANTED overflow(float*, int64_t n, int64_t mistake) {
  volatile int64_t size = INT64_MAX / n;
  size = size * (n + mistake);
}

PLANTED shift(float*, int64_t, int64_t mistake) {
  volatile int bits = 31 + (int)mistake;
  volatile int64_t mask = 1u << bits;
  (void)mask;
}

PLANTED misaligned(float* x, int64_t, int64_t mistake) {
  volatile float* const at = (float*)((char*)x + mistake);
  at[0] = 1;
}

// Every thread adds to the same sum.
PLANTED race(float* x, int64_t n, int64_t mistake) {
  const Scratch<float> sums(n);
  float* const to = sums.data();
  parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) to[mistake ? 0 : i] += x[i];
  });
}
}
