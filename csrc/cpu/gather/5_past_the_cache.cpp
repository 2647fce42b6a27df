// gather, rung 5: what keeps threads from waiting for memory.
//
//   forward   y[i][j] = x[index[i][j]][j]       reads the index (8 bytes per element) and x, writes y
//   backward  dx[index[i][j]][j] += grad[i][j]  reads the index and grad, writes dx
//
// The range of an index is checked a few rows ahead of its use: the check brings it into the first-level cache. Lines far apart
// are prefetched. Large results are written past the cache, which saves reading their lines first (past_the_cache.h).
#include "blocks.h"
#include "cpu/ladder.h"
#include "index.h"
#include "past_the_cache.h"

namespace scratchnet {
namespace {

// Elements of x from beyond the second-level cache are fetched some rows ahead: 262,144 rows of 32 took 1.4 times as long
// without. Blocks of 4 MiB gained nothing, and those that the second-level cache holds took 1.4 times as long with it.
constexpr int64_t PAST_CACHE = 8 * BLOCK_BYTES, FAR = 8;

// ---- forward: T is an integer of the element's size: a copy needs no arithmetic -------------------------------------

template <class T>
bool forward_columns(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  Flag outside;
  const Blocks blocks(s, sizeof(T));
  const bool packs = 2 * s.to >= s.from;  // else most of x is not needed
  const bool stream = s.elements() * sizeof(T) >= STREAM_BYTES;
  const bool past_cache = s.from * blocks.width * sizeof(T) > PAST_CACHE;
  for_each_block<T>(s, blocks, packs ? s.from : 0, [&](int64_t line, int64_t j0, int64_t columns, T* buffer) {
    const T* source = x + s.x_line(line) + j0 * s.x_column;
    int64_t row = s.x_row, column = s.x_column;
    if (packs) {
      pack(s, source, columns, buffer, blocks.width);
      source = buffer, row = blocks.width, column = 1;
    }
    const int64_t at = s.y_line(line) + j0, step = max(1, CHECKED / columns);
    for (int64_t i0 = 0; i0 < s.to; i0 += step) {
      const int64_t rows = min(step, s.to - i0);
      if (!inside(index + at + i0 * s.y_row, rows, columns, s.y_row, s.from)) return outside.raise();
      for (int64_t i = i0; i < i0 + rows; i++) {
        const int64_t* k = index + at + i * s.y_row;
        T* to = y + at + i * s.y_row;
        if (past_cache && i + FAR < i0 + rows)
          for (int64_t j = 0; j < columns; j++) __builtin_prefetch(source + k[FAR * s.y_row + j] * row + j * column);
        write(to, columns, stream, [&](int64_t j, int64_t n, T* part) SN_LAMBDA_INLINE {
          for (int64_t c = 0; c < n; c++) part[c] = source[k[j + c] * row + (j + c) * column];
        });
      }
    }
  });
  return !outside.set;
}

template <class T>
bool forward_lines(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  Flag outside;
  const int64_t pieces = ceil_div(s.to, CHECKED);
  const bool stream = s.elements() * sizeof(T) >= STREAM_BYTES;
  parallel_for(0, s.lines * pieces, 1 + GRAIN / 2 / (min(s.to, CHECKED) + 1), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) {
      const int64_t line = p / pieces, i0 = p % pieces * CHECKED, n = min(CHECKED, s.to - i0);
      const T* source = x + s.x_line(line);
      const int64_t* k = index + s.y_line(line) + i0;
      T* to = y + s.y_line(line) + i0;
      if (!inside(k, n, s.from)) return outside.raise();
      write(to, n, stream, [&](int64_t i, int64_t count, T* part) SN_LAMBDA_INLINE {
        for (int64_t c = 0; c < count; c++) part[c] = source[k[i + c] * s.x_row];
      });
    }
    finish_writes();
  });
  return !outside.set;
}

template <class T>
bool forward(const GatherShape& s, const void* x, const int64_t* index, void* y) {
  return (s.columns == 1 ? forward_lines<T> : forward_columns<T>)(s, (const T*)x, index, (T*)y);
}

// ---- backward -----------------------------------------------------------------------------------------------------------

template <class T>
bool backward_columns(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, bool stream) {
  using A = acc_t<T>;
  Flag outside;
  const Blocks blocks(s, sizeof(A));
  const int64_t width = blocks.width;
  for_each_block<A>(s, blocks, s.from, [&](int64_t line, int64_t j0, int64_t columns, A* sums) {
    const int64_t x_first = s.x_line(line) + j0 * s.x_column;
    for (int64_t k = 0; k < s.from; k++)
      first_sums(base ? base + x_first + k * s.x_row : base, s.x_column, sums + k * width, columns);
    const int64_t at = s.y_line(line) + j0, step = max(1, CHECKED / columns);
    for (int64_t i0 = 0; i0 < s.to; i0 += step) {
      const int64_t rows = min(step, s.to - i0);
      if (!inside(index + at + i0 * s.y_row, rows, columns, s.y_row, s.from)) return outside.raise();
      for (int64_t i = i0; i < i0 + rows; i++) {
        const int64_t* k = index + at + i * s.y_row;
        const T* g = grad + at + i * s.y_row;
        if (i + AHEAD < s.to) prefetch(k + AHEAD * s.y_row, columns), prefetch(g + AHEAD * s.y_row, columns);
        for (int64_t j = 0; j < columns; j++) sums[k[j] * width + j] += load1(g + j);
      }
    }
    for (int64_t k = 0; k < s.from; k++) write_sums(dx + x_first + k * s.x_row, s.x_column, sums + k * width, columns, stream);
  });
  return !outside.set;
}

template <class T>
bool backward_lines(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, bool stream) {
  using A = acc_t<T>;
  Flag outside;
  parallel_for(0, s.lines, 1 + GRAIN / 2 / (s.from + s.to + 1), [&](int64_t begin, int64_t end) {
    const Scratch<A> sums(s.from);
    for (int64_t line = begin; line < end; line++) {
      first_sums(base ? base + s.x_line(line) : base, s.x_row, sums.data(), s.from);
      for (int64_t i0 = 0; i0 < s.to; i0 += CHECKED) {
        const int64_t at = s.y_line(line) + i0, n = min(CHECKED, s.to - i0);
        if (!inside(index + at, n, s.from)) return outside.raise();
        for (int64_t i = at; i < at + n; i++) sums[index[i]] += load1(grad + i);
      }
      write_sums(dx + s.x_line(line), s.x_row, sums.data(), s.from, stream);
    }
    finish_writes();
  });
  return !outside.set;
}

template <class T>
bool backward(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, int64_t numel) {
  if (!s.covers) begin_with(base, dx, numel);
  const bool stream = numel * sizeof(T) >= STREAM_BYTES;
  return (s.columns == 1 ? backward_lines<T> : backward_columns<T>)(s, grad, index, base, dx, stream);
}

// ---- embedding ----------------------------------------------------------------------------------------------------------

bool embedding_forward(int64_t bytes, const char* weight, int64_t stride, const int64_t* index, char* y, int64_t rows,
                       int64_t columns, int64_t n) {
  if (!inside(index, n, rows)) return false;
  const int64_t row = columns * bytes;
  const bool stream = n * row >= STREAM_BYTES;
  parallel_for(0, n, 1 + ROW_GRAIN / (columns + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const char* from = weight + index[i] * stride * bytes;
      if (i + 1 < end) prefetch(weight + index[i + 1] * stride * bytes, row);
      write(y + i * row, row, stream,
            [&](int64_t j, int64_t count, char* part) SN_LAMBDA_INLINE { memcpy(part, from + j, count); });
    }
    finish_writes();
  });
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_5) = {
    [](const On& on, const GatherShape& shape, const void* x, const int64_t* index, void* y) {
      const int64_t size = dtype_size(on.dtype);
      return (size == 8 ? forward<uint64_t> : size == 4 ? forward<uint32_t> : forward<uint16_t>)(shape, x, index, y);
    },
    SN_TYPED(backward),
    [](const On& on, const void* weight, int64_t stride, const int64_t* index, void* y, int64_t rows, int64_t columns,
       int64_t n) {
      return embedding_forward(dtype_size(on.dtype), (const char*)weight, stride, index, (char*)y, rows, columns, n);
    },
    SN_FROM(gather_kernels(4), embedding_backward),
};

}  // namespace scratchnet
