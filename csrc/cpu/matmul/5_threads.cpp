// Matrix product, rung 5: y is cut into rectangles, each computed by one thread as rung 4 computes all of it.
//
// No thread waits for another or adds to its sums, and how k is cut depends on k alone: the same bits for any number of
// threads. A rectangle of m rows and n columns reads (m + n) k numbers for its m n k multiply-adds: the cut that makes the
// least work for the slowest thread (split.h) is nearly square. What becomes of the sums (epilogue.h) and the gradient of an
// activation get registers too, so that no thread waits there; the gradient of the bias is summed in chunks of rows.
#include "cpu/column_sums.h"
#include "cpu/flush.h"
#include "cpu/ladder.h"
#include "epilogue.h"
#include "split.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 192;  // that share a copied block of b

template <class A>
using Block = A[DEPTH][COLUMNS<A>];

// block = the piece of b that begins at b0, read along its rows or its columns, whichever lie in order
template <class T>
void copy(const Matrix& b, const T* b0, int64_t depth, int64_t columns, Block<acc_t<T>>& block) {
  if (b.column == 1)
    for (int64_t p = 0; p < depth; p++)
      for (int64_t j = 0; j < columns; j++) block[p][j] = load1(b0 + p * b.row + j);
  else
    for (int64_t j = 0; j < columns; j++)
      for (int64_t p = 0; p < depth; p++) block[p][j] = load1(b0 + p * b.row + j * b.column);
}

template <class T>
void multiply(const Part<T>& r) {
  using A = acc_t<T>;
  constexpr int64_t WIDTH = COLUMNS<A>;
  A sums[BLOCK_ROWS][WIDTH];
  Block<A> block = {};
  for (int64_t i0 = 0; i0 < r.rows; i0 += BLOCK_ROWS)
    for (int64_t j0 = 0; j0 < r.columns; j0 += WIDTH) {
      const int64_t rows = min(BLOCK_ROWS, r.rows - i0), columns = min(WIDTH, r.columns - j0);
      for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
          sums[i][j] = r.to.accumulate ? load1((const T*)r.to.y + r.y_at(i0 + i, j0 + j)) : 0;
      for (int64_t p = 0; p < r.size.k; p += DEPTH) {
        const int64_t depth = min(DEPTH, r.size.k - p);
        copy(r.b, r.b_at(p, j0), depth, columns, block);
        for (int64_t i = 0; i < rows; i += ROWS) {
          const T* const a_i = r.a_at(i0 + i, p);
          const auto numbers = [&](int64_t t, int row) SN_LAMBDA_INLINE { return load1(a_i + row * r.a.row + t * r.a.column); };
          fitting_tile<A>(min(ROWS, rows - i), depth, numbers, packed_columns(*block), sums[i], WIDTH, columns, true);
        }
      }
      finish<T>(rows, columns, *sums, WIDTH, r.to, r.y_at(i0, j0), r.size.n, r.j0 + j0);
    }
}

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  using A = acc_t<T>;
  const int64_t count = batches(size);
  if (count * size.m * size.n == 0) return;
  Grid grid = split(size, count, sn_num_threads());
  const int64_t rows = round_up(ceil_div(size.m, grid.down), ROWS);
  const int64_t columns = round_up(ceil_div(size.n, grid.across), COLUMNS<A>);
  grid = {ceil_div(size.m, rows), ceil_div(size.n, columns)};
  const int64_t grain = max(1, int64_t(THREAD_WORK / work(rows, columns, size.k)));
  parallel_for(0, count * grid.down * grid.across, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / grid.across % grid.down * rows, j = t % grid.across * columns;
      const Part<T> part = {size, a, b, to, t / grid.across / grid.down, i, min(rows, size.m - i), j, min(columns, size.n - j)};
      multiply(part);
    }
  });
}

template <class T>
void activation_backward(const T* grad, const T* saved, T* dz, T* dbias, int64_t rows, int64_t columns, Activation activation) {
  using A = acc_t<T>;
  ColumnSums<A> sums(rows, columns);
  sums.for_each_chunk([&](int64_t begin, int64_t end, A* partial) {
    const FlushToZero flush;
    for (int64_t i = begin; i < end; i++)
      map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        auto d = get(grad + i * columns + j);
        if (activation == Activation::relu) {
          d = get(saved + i * columns + j) <= 0 ? vec<A>{} : d;  // NaN lets the gradient through
        } else if (activation != Activation::none) {
          const auto z = get(saved + i * columns + j);
          const auto [cdf, slope] = activation == Activation::gelu ? gate<false, A>(z) : gate<true, A>(z);
          d *= cdf + z * slope;
        }
        if (dz) put(dz + i * columns + j, d);
        if (dbias) put(partial + j, get(partial + j) + d);
      });
  });
  if (dbias) sums.total(dbias);
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_5) = {SN_TYPED(product), SN_TYPED(activation_backward)};

}  // namespace scratchnet
