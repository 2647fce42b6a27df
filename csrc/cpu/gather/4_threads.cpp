// gather, rung 4: threads that own what they write.
//
//   forward   each thread packs blocks of columns of its own, or takes positions of a line
//   backward  each thread adds into blocks of its own; of an embedding, it owns rows of the table
//
// Columns and lines are independent, and each is summed by one thread in the order of the index: no atomics, and the same bits
// for any number of threads. There are as many blocks as threads if they are wide enough (blocks.h).
#include "blocks.h"
#include "cpu/ladder.h"
#include "index.h"

namespace scratchnet {
namespace {

// ---- forward: T is an integer of the element's size: a copy needs no arithmetic -------------------------------------

template <class T>
void forward_columns(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  const Blocks blocks(s, sizeof(T));
  const bool packs = 2 * s.to >= s.from;  // else most of x is not needed
  for_each_block<T>(s, blocks, packs ? s.from : 0, [&](int64_t line, int64_t j0, int64_t columns, T* buffer) {
    const T* source = x + s.x_line(line) + j0 * s.x_column;
    int64_t row = s.x_row, column = s.x_column;
    if (packs) {
      pack(s, source, columns, buffer, blocks.width);
      source = buffer, row = blocks.width, column = 1;
    }
    for (int64_t i = 0; i < s.to; i++) {
      const int64_t at = s.y_line(line) + i * s.y_row + j0;
      for (int64_t j = 0; j < columns; j++) y[at + j] = source[index[at + j] * row + j * column];
    }
  });
}

template <class T>
void forward_lines(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  parallel_for(0, s.lines * s.to, GRAIN / 2, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; e++) {
      const int64_t line = e / s.to, at = s.y_line(line) + e % s.to;
      y[at] = x[s.x_line(line) + index[at] * s.x_row];
    }
  });
}

template <class T>
bool forward(const GatherShape& s, const void* x, const int64_t* index, void* y) {
  if (!inside(index, s.elements(), s.from)) return false;
  (s.columns == 1 ? forward_lines<T> : forward_columns<T>)(s, (const T*)x, index, (T*)y);
  return true;
}

template <class T>
bool backward(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, int64_t numel) {
  using A = acc_t<T>;
  if (!inside(index, s.elements(), s.from)) return false;
  if (!s.covers) begin_with(base, dx, numel);
  const Blocks blocks(s, sizeof(A));
  const int64_t width = s.columns == 1 ? 1 : blocks.width;  // a line has one column
  for_each_block<A>(s, blocks, s.from, [&](int64_t line, int64_t j0, int64_t columns, A* sums) {
    const int64_t x_first = s.x_line(line) + j0 * s.x_column;
    for (int64_t k = 0; k < s.from; k++)
      first_sums(base ? base + x_first + k * s.x_row : base, s.x_column, sums + k * width, columns);
    for (int64_t i = 0; i < s.to; i++) {
      const int64_t at = s.y_line(line) + i * s.y_row + j0;
      for (int64_t j = 0; j < columns; j++) sums[index[at + j] * width + j] += load1(grad + at + j);
    }
    T* const to = dx + x_first;
    for (int64_t k = 0; k < s.from; k++)
      for (int64_t j = 0; j < columns; j++) store1(to + k * s.x_row + j * s.x_column, sums[k * width + j]);
  });
  return true;
}

// ---- embedding ----------------------------------------------------------------------------------------------------------

bool embedding_forward(int64_t bytes, const char* weight, int64_t stride, const int64_t* index, char* y, int64_t rows,
                       int64_t columns, int64_t n) {
  if (!inside(index, n, rows)) return false;
  const int64_t row = columns * bytes;
  if (row == 0) return true;
  parallel_for(0, n, 1 + 4 * GRAIN / (columns + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) memcpy(y + i * row, weight + index[i] * stride * bytes, row);
  });
  return true;
}

template <class T>
bool embedding_backward(const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows, int64_t columns,
                        int64_t n, int64_t padding, bool by_count) {
  using A = acc_t<T>;
  if (!inside(index, n, rows)) return false;
  const ByRow by_row(index, n, rows);
  parallel_for(0, rows, 1 + 4 * GRAIN / (columns * (1 + n / (rows + 1)) + 1), [&](int64_t begin, int64_t end) {
    const Scratch<A> sum(columns);
    for (int64_t k = begin; k < end; k++) {
      const int64_t *first = by_row.first(k), *last = by_row.first(k + 1);
      const A share = by_count && first != last ? A(1) / A(last - first) : A(1);
      for (int64_t j = 0; j < columns; j++) sum[j] = base ? load1(base + k * columns + j) : 0;
      for (const int64_t* i = first; i < last && k != padding; i++)
        for (int64_t j = 0; j < columns; j++) sum[j] += share * load1(grad + *i * columns + j);
      for (int64_t j = 0; j < columns; j++) store1(dweight + k * columns + j, sum[j]);
    }
  });
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_4) = {
    [](const On& on, const GatherShape& shape, const void* x, const int64_t* index, void* y) {
      const int64_t size = dtype_size(on.dtype);
      return (size == 8 ? forward<uint64_t> : size == 4 ? forward<uint32_t> : forward<uint16_t>)(shape, x, index, y);
    },
    SN_TYPED(backward),
    [](const On& on, const void* weight, int64_t stride, const int64_t* index, void* y, int64_t rows, int64_t columns,
       int64_t n) {
      return embedding_forward(dtype_size(on.dtype), (const char*)weight, stride, index, (char*)y, rows, columns, n);
    },
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
