// gather, rung 6: the gradients of a tall table are dealt into bins of few rows before they are added up.
//
//   backward  dx[index[i][j]][j] += grad[i][j]   reads the index twice and grad once, writes and reads the bins, writes dx
//
// Not even sixteen columns of a tall table's sums fit in the second-level cache: in rung 5 nearly every addition waits for
// memory. A bin is a list of (gradient, place) to which the next one is appended, so that the lines in use stay in the cache
// while they fill up; and the sums of the rows of one bin fit in the first-level cache.
//
// A thread deals a part of the index into bins of its own. Who adds up a bin takes those of all parts in their order: every sum
// has the order of the index, and the same bits for any number of threads.
//
// 262,144 rows of 32 take one core (Zen 5) 3.0 ns per element: 0.6 to count, 1.6 to deal, 0.8 to add up; rung 5 takes 8.6 and
// torch 16. What has to move are 16 bytes: index, gradient, dx. Here 48 do: the index twice, and the 8 bytes of an entry, which
// are fetched, written and read. Chains of chunks, which need no count, took 1.1 (chunks of 4 KiB) to 2.6 times as long (512
// bytes), lines that are written past the cache when they are full 1.3 times, bins of 64 KiB 1.1 times, and 2048 bins 1.7
// times.
#include "blocks.h"
#include "cpu/ladder.h"
#include "index.h"
#include "past_the_cache.h"

namespace scratchnet {
namespace {

constexpr int64_t TALL_BYTES = 2 * BLOCK_BYTES;  // of the sums of a block of columns: what pays for the way through the bins
constexpr int64_t LONG = 2;             // times as many rows as the table: an index whose bins would fill too much memory
constexpr int64_t BIN_BYTES = 1 << 14;  // of sums: half a first-level cache
constexpr int64_t MOST_BINS = 1024;     // the ends of their lists stay in the second-level cache
constexpr int64_t WIDEST = 128;         // columns that go through the bins at once

template <class A>
struct Entry {
  A gradient;
  uint32_t place;  // among the sums of its bin
};

// Appends n rows of gradients, `row` apart, to the lists. Not inline: this loop needs all registers.
template <class T, class A>
__attribute__((noinline)) void deal(const T* grad, const int64_t* index, int64_t n, int64_t columns, int64_t row, int shift,
                                    int64_t* end, Entry<A>* entries) {
  const uint32_t mask = (uint32_t(1) << shift) - 1, width = columns;
  for (int64_t i = 0; i < n; i++, grad += row, index += row)
    for (int64_t j = 0; j < columns; j++) {
      const int64_t k = index[j];
      entries[end[k >> shift]++] = {load1(grad + j), (uint32_t(k) & mask) * width + uint32_t(j)};
    }
}

// The same with the lists laid one behind the other first: begin, end (bins). False if an index is out of range.
template <class T, class A>
bool deal_all(const T* grad, const int64_t* index, int64_t n, int64_t columns, int64_t row, int64_t size, int shift,
              int64_t bins, int64_t* begin, int64_t* end, Entry<A>* entries) {
  const int64_t step = max(1, CHECKED / columns);
  for (int64_t b = 0; b < bins; b++) end[b] = 0;
  for (int64_t i0 = 0; i0 < n; i0 += step) {
    const int64_t i1 = min(i0 + step, n);
    if (!inside(index + i0 * row, i1 - i0, columns, row, size)) return false;
    for (int64_t i = i0; i < i1; i++)
      for (int64_t j = 0; j < columns; j++) end[index[i * row + j] >> shift]++;
  }
  for (int64_t b = 0, total = 0; b < bins; b++) {
    begin[b] = total;
    total += end[b];
    end[b] = begin[b];
  }
  deal(grad, index, n, columns, row, shift, end, entries);
  return true;
}

template <class T>
bool backward(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, int64_t numel) {
  using A = acc_t<T>;
  if (!s.covers) begin_with(base, dx, numel);
  const bool stream = numel * sizeof(T) >= STREAM_BYTES;
  const int64_t parts = sn_num_threads(), widest = min(s.columns, WIDEST), blocks = ceil_div(s.columns, widest);
  int shift = 0;
  while (widest * (int64_t)sizeof(A) << (shift + 1) <= BIN_BYTES || s.from >> shift > MOST_BINS) shift++;
  const int64_t rows = int64_t(1) << shift, bins = ceil_div(s.from, rows), room = ceil_div(s.to, parts) * widest;
  const Scratch<int64_t> begin(parts, bins), end(parts, bins);
  const Scratch<Entry<A>> entries(parts, room);
  Flag outside;
  for (int64_t block = 0; block < s.lines * blocks; block++) {
    const int64_t line = block / blocks, j0 = block % blocks * widest, columns = min(widest, s.columns - j0);
    parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      for (int64_t p = first; p < last; p++) {
        const int64_t i = s.to * p / parts, n = s.to * (p + 1) / parts - i, at = s.y_line(line) + i * s.y_row + j0;
        if (!deal_all(grad + at, index + at, n, columns, s.y_row, s.from, shift, bins, begin.at(p * bins, bins),
                      end.at(p * bins, bins), entries.at(p * room, n * columns)))
          outside.raise();
      }
    });
    if (outside.set) return false;
    parallel_for(0, bins, 1, [&](int64_t first, int64_t last) {
      const Scratch<A> sums(rows, columns);
      for (int64_t b = first; b < last; b++) {
        const int64_t k0 = b << shift, count = min(rows, s.from - k0), at = s.x_line(line) + k0 * s.x_row + j0 * s.x_column;
        for (int64_t k = 0; k < count; k++)
          first_sums(base ? base + at + k * s.x_row : base, s.x_column, sums.data() + k * columns, columns);
        for (int64_t p = b; p < parts * bins; p += bins) {
          const int64_t size = end[p] - begin[p];
          const Entry<A>* list = entries.at(p / bins * room + begin[p], size);
          for (int64_t e = 0; e < size; e++) sums.data()[list[e].place] += list[e].gradient;
        }
        for (int64_t k = 0; k < count; k++)
          write_sums(dx + at + k * s.x_row, s.x_column, sums.data() + k * columns, columns, stream);
      }
      finish_writes();
    });
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_6) = {
    SN_FROM(gather_kernels(5), gather_forward),
    [](const On& on, const GatherShape& s, const void* grad, const int64_t* index, const void* base, void* dx, int64_t numel) {
      const int64_t bytes = max(sizeof(float), dtype_size(on.dtype));
      const bool tall = s.columns > 1 && s.from * Blocks(s, bytes).width * bytes > TALL_BYTES;
      if (!tall || s.to > LONG * s.from) return gather_kernels(5).gather_backward(on, s, grad, index, base, dx, numel);
      return SN_TYPED(backward)(on, s, grad, index, base, dx, numel);
    },
    SN_FROM(gather_kernels(5), embedding_forward),
    SN_FROM(gather_kernels(5), embedding_backward),
};

}  // namespace scratchnet
