// gather, rung 3: what is used again stays in cache.
//
//   forward   packs a block of few columns of x, which fits in the second-level cache; all rows of the index take from it
//   backward  adds into such a block and writes it once; an embedding sorts its indices and adds up one row at a time
//
// Along dim 0 of a large x every element is a cache miss in rung 2, which uses 4 of the 64 bytes.
#include "cpu/ladder.h"
#include "index.h"
#include "ops/gather.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_BYTES = 1 << 19;  // half a second-level cache

// f(line, first column, number of columns, block) for all columns; block: room for `from` rows of that many columns
template <class B, class F>
void for_each_block(const GatherShape& s, const F& f) {
  const int64_t fitting = BLOCK_BYTES / (s.from * sizeof(B) + 1), width = fitting < 16 ? 16 : fitting;
  const Scratch<B> block(s.from, width);
  for (int64_t line = 0; line < s.lines; line++)
    for (int64_t j = 0; j < s.columns; j += width) f(line, j, min(width, s.columns - j), block.data());
}

template <class T>
bool forward(const GatherShape& s, const T* x, const int64_t* index, T* y) {
  if (!inside(index, s.elements(), s.from)) return false;
  for_each_block<T>(s, [&](int64_t line, int64_t first, int64_t columns, T* block) {
    const T* const from = x + s.x_line(line) + first * s.x_column;
    for (int64_t k = 0; k < s.from; k++)
      for (int64_t j = 0; j < columns; j++) block[k * columns + j] = from[k * s.x_row + j * s.x_column];
    for (int64_t i = 0; i < s.to; i++) {
      const int64_t at = s.y_line(line) + i * s.y_row + first;
      for (int64_t j = 0; j < columns; j++) y[at + j] = block[index[at + j] * columns + j];
    }
  });
  return true;
}

template <class T>
bool backward(const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx, int64_t numel) {
  using A = acc_t<T>;
  if (!inside(index, s.elements(), s.from)) return false;
  if (!s.covers)
    for (int64_t i = 0; i < numel; i++) dx[i] = base ? base[i] : T{};
  for_each_block<A>(s, [&](int64_t line, int64_t first, int64_t columns, A* sums) {
    const int64_t x_first = s.x_line(line) + first * s.x_column;
    for (int64_t k = 0; k < s.from; k++)
      for (int64_t j = 0; j < columns; j++)
        sums[k * columns + j] = base ? load1(base + x_first + k * s.x_row + j * s.x_column) : 0;
    for (int64_t i = 0; i < s.to; i++) {
      const int64_t at = s.y_line(line) + i * s.y_row + first;
      for (int64_t j = 0; j < columns; j++) sums[index[at + j] * columns + j] += load1(grad + at + j);
    }
    T* const to = dx + x_first;
    for (int64_t k = 0; k < s.from; k++)
      for (int64_t j = 0; j < columns; j++) store1(to + k * s.x_row + j * s.x_column, sums[k * columns + j]);
  });
  return true;
}

template <class T>
bool embedding_backward(const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows, int64_t columns,
                        int64_t n, int64_t padding, bool by_count) {
  using A = acc_t<T>;
  if (!inside(index, n, rows)) return false;
  const ByRow by_row(index, n, rows);
  const Scratch<A> sum(columns);
  for (int64_t k = 0; k < rows; k++) {
    const int64_t *first = by_row.first(k), *last = by_row.first(k + 1);
    const A share = by_count && first != last ? A(1) / A(last - first) : A(1);
    for (int64_t j = 0; j < columns; j++) sum[j] = base ? load1(base + k * columns + j) : 0;
    for (const int64_t* i = first; i < last && k != padding; i++)
      for (int64_t j = 0; j < columns; j++) sum[j] += share * load1(grad + *i * columns + j);
    for (int64_t j = 0; j < columns; j++) store1(dweight + k * columns + j, sum[j]);
  }
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_3) = {
    [](const On& on, const GatherShape& shape, const void* x, const int64_t* index, void* y) {
      if (shape.columns == 1 || 2 * shape.to < shape.from)  // no columns; or most of x is not needed
        return gather_kernels(2).gather_forward(on, shape, x, index, y);
      SN_FLOATS(on.dtype, return forward(shape, (const T*)x, index, (T*)y));
      return false;
    },
    [](const On& on, const GatherShape& shape, const void* grad, const int64_t* index, const void* base, void* dx,
       int64_t numel) {
      if (shape.columns == 1) return gather_kernels(2).gather_backward(on, shape, grad, index, base, dx, numel);
      SN_FLOATS(on.dtype, return backward(shape, (const T*)grad, index, (const T*)base, (T*)dx, numel));
      return false;
    },
    SN_FROM(gather_kernels(2), embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
