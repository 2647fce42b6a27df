// How y is cut into rectangles for the threads.
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

}  // namespace
}  // namespace scratchnet
