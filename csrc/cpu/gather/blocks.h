// Blocks of columns that fit in the cache, each owned by one thread: how they are cut, packed, and begun as sums.
#pragma once
#include "cpu/memory.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "cpu/stream.h"
#include "ops/gather.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_BYTES = 1 << 20;  // of x or sums: a second-level cache

// Cuts the columns into blocks whose `from` entries of `bytes` fit in cache, with one for each thread if they are wide enough.
struct Blocks {
  int64_t width, count;

  Blocks(const GatherShape& s, int64_t bytes) {
    // Columns: at least a cache line of floats, or half of one, which is a line of the index, where a thread would be idle
    // otherwise; more than 256 gain nothing. Fewer, so that all of a tall x fits, lose more by using a part of each line: on a
    // core with 2 MiB, 262,144 rows of 32 took 1.2 times as long with 8 columns, 1.9 times with 4 and 3 times with 2. With 16
    // nearly every element misses the second-level cache: five times what the 16 bytes an element take that have to move.
    const int64_t shared = ceil_div(s.columns, ceil_div(sn_num_threads(), max(s.lines, 1)));
    const int64_t least = shared > 8 ? 16 : 8, fitting = max(least, min(256, BLOCK_BYTES / (s.from * bytes + 1)));
    const int64_t each = max(1, ceil_div(shared, fitting));  // blocks of a thread, as many of all
    width = max(least, round_up(ceil_div(shared, each), least));
    count = ceil_div(s.columns, width);
  }
};

// f(line, first column, number of columns, buffer) for the blocks that a thread owns; the buffer (rows, blocks.width) is the
// thread's
template <class B, class F>
void for_each_block(const GatherShape& s, const Blocks& blocks, int64_t rows, const F& f) {
  const int64_t grain = 1 + GRAIN / 2 / (max(s.from, s.to) * blocks.width + 1);
  parallel_for(0, s.lines * blocks.count, grain, [&](int64_t begin, int64_t end) {
    const Scratch<B> buffer(rows, blocks.width);
    for (int64_t b = begin; b < end; b++) {
      const int64_t j = b % blocks.count * blocks.width;
      f(b / blocks.count, j, min(blocks.width, s.columns - j), buffer.data());
    }
    finish_writes();
  });
}

// The columns [0, columns) of x, `width` apart from row to row, read along the smaller stride
template <class T>
void pack(const GatherShape& s, const T* x, int64_t columns, T* packed, int64_t width) {
  if (s.x_row < s.x_column) {
    for (int64_t j = 0; j < columns; j++)
      for (int64_t k = 0; k < s.from; k++) packed[k * width + j] = x[k * s.x_row + j * s.x_column];
  } else if (s.x_column == 1) {
    for (int64_t k = 0; k < s.from; k++)
      for (int64_t j = 0; j < columns; j++) packed[k * width + j] = x[k * s.x_row + j];
  } else {
    for (int64_t k = 0; k < s.from; k++)
      for (int64_t j = 0; j < columns; j++) packed[k * width + j] = x[k * s.x_row + j * s.x_column];
  }
}

// p[i] = base[i], or zeros without a base
template <class T>
void begin_with(const T* base, T* p, int64_t n) {
  parallel_for(0, n, 1 << 18, [&](int64_t begin, int64_t end) {
    const int64_t bytes = (end - begin) * sizeof(T);
    if (base) memcpy((void*)(p + begin), (const void*)(base + begin), bytes);
    else memset((void*)(p + begin), 0, bytes);
  });
}

// The sums of a row or column of dx, before anything is added
template <class T>
SN_INLINE void first_sums(const T* base, int64_t stride, acc_t<T>* sums, int64_t n) {
  if (!base) memset((void*)sums, 0, n * sizeof(*sums));
  else if (stride == 1) map<T>(0, n, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { put(sums + j, get(base + j)); });
  else
    for (int64_t j = 0; j < n; j++) sums[j] = load1(base + j * stride);
}

}  // namespace
}  // namespace scratchnet
