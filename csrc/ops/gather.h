// gather: y[.., i, ..] = x[.., index[.., i, ..], ..] along one dimension; embedding: row index[i] of a table.
//
// Along the dimension, x has `from` entries and index `to`. The dimensions after it, as far as x and index agree on them,
// form one axis of columns; a line is one position in all the other dimensions:
//
//   y[line][i][j] = x[line][index[line][i][j]][j]         i < to, j < columns
#pragma once
#include "ops/table.h"

namespace scratchnet {

// x has any strides (in elements); index, y and grad are contiguous, in the order line, i, j unless dimensions follow on which
// x and index differ: hence y_line. dx is contiguous, its strides are those of x here.
struct GatherShape {
  int64_t from, to, columns, lines;
  int64_t x_row, x_column, y_row;  // strides along the dimension and along the columns
  int64_t dims;                    // of the lines
  int64_t sizes[64], x_strides[64], y_strides[64];
  bool covers;  // index has every line and column that x has

  SN_ANYWHERE int64_t elements() const { return lines * to * columns; }  // of the index
  SN_ANYWHERE int64_t x_line(int64_t line) const { return offset(line, x_strides); }
  SN_ANYWHERE int64_t y_line(int64_t line) const { return offset(line, y_strides); }

 private:
  SN_ANYWHERE int64_t offset(int64_t line, const int64_t* strides) const {
    int64_t at = 0;
    for (int64_t d = dims - 1; d >= 0; d--) {
      at += line % sizes[d] * strides[d];
      line /= sizes[d];
    }
    return at;
  }
};

// All return false if an index is out of range; nothing out of bounds has then been read or written, and the result is void.
// A GPU cannot say so in time: there they return true, and an assertion on the device stops it.
struct GatherKernels {
  bool (*gather_forward)(const On&, const GatherShape&, const void* x, const int64_t* index, void* y);
  // dx has `numel` elements, and so has `base`, what is added to; null for zeros
  bool (*gather_backward)(const On&, const GatherShape&, const void* grad, const int64_t* index, const void* base, void* dx,
                          int64_t numel);
  // weight (rows, columns) with a stride between rows, index (n), y and grad (n, columns), dweight (rows, columns)
  bool (*embedding_forward)(const On&, const void* weight, int64_t stride, const int64_t* index, void* y, int64_t rows,
                            int64_t columns, int64_t n);
  // nothing is added to the row `padding`; by_count: a row's gradient is divided by the number of its occurrences
  bool (*embedding_backward)(const On&, const void* grad, const int64_t* index, const void* base, void* dweight, int64_t rows,
                             int64_t columns, int64_t n, int64_t padding, bool by_count);
};

const GatherKernels& gather_kernels(int64_t rung);

}  // namespace scratchnet
