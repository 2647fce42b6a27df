// How y is cut into rectangles for the threads, and what a rectangle is made from.
#pragma once
#include "cpu/parallel.h"
#include "ops/matmul.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t RECTANGLE_ROWS = 1536, RECTANGLE_COLUMNS = 1024;  // of y, at most

struct Grid {
  int64_t down, across;  // rectangles of a matrix of y
};

// What it costs to compute rows x columns of y, in multiply-adds. A double: operands with stride 0 may have any size.
inline double work(double rows, double columns, double k) {
  return rows * columns * k + MOVE * (rows * k + k * columns + rows * columns);
}

// The grid whose slowest thread has the least to do; copying a number costs it about as much as 48 multiply-adds.
inline Grid split(const ProductSizes& size, int64_t count, int64_t threads) {
  const Grid least = {ceil_div(size.m, RECTANGLE_ROWS), ceil_div(size.n, RECTANGLE_COLUMNS)};
  if (!sn_worth_threads(count * work(size.m, size.n, size.k) / THREAD_WORK)) return least;
  Grid best = least;
  int64_t best_cost = INT64_MAX;
  for (int64_t i = 0; i <= threads; i++) {
    const Grid grid = i == 0 ? least : Grid{round_up(least.down, i), round_up(least.across, ceil_div(threads, i))};
    const int64_t rows = ceil_div(size.m, grid.down), columns = ceil_div(size.n, grid.across);
    const int64_t cost = ceil_div(count * grid.down * grid.across, threads) * (rows * columns + 48 * (rows + columns));
    if (cost < best_cost) best = grid, best_cost = cost;
  }
  return best;
}

// Rows [i0, i0 + rows) and columns [j0, j0 + columns) of matrix `index` of the batch.
template <class T>
struct Part {
  const ProductSizes& size;
  const Matrix &a, &b;
  const Epilogue& to;
  int64_t index, i0, rows, j0, columns;

  const T* a_at(int64_t i, int64_t p) const {
    return (const T*)a.data + batch_offset(size, a, index) + (i0 + i) * a.row + p * a.column;
  }
  const T* b_at(int64_t p, int64_t j) const {
    return (const T*)b.data + batch_offset(size, b, index) + p * b.row + (j0 + j) * b.column;
  }
  int64_t y_at(int64_t i, int64_t j) const { return (index * size.m + i0 + i) * size.n + j0 + j; }
};

}  // namespace
}  // namespace scratchnet
