// Matrix product, rung 5: y is cut into rectangles, each computed by one thread as rung 4 computes all of it.
//
// No thread waits for another or adds to its sums, and how k is cut depends on k alone: the same bits for any number of
// threads. A rectangle of m rows and n columns reads (m + n) k numbers for its m n k multiply-adds: the cut that makes the
// least work for the slowest thread (split.h) is nearly square. The gradient of an activation gets registers and threads too;
// that of the bias is summed in chunks of rows.
#include "cpu/column_sums.h"
#include "cpu/flush.h"
#include "cpu/gelu/gate.h"
#include "cpu/ladder.h"
#include "epilogue_scalar.h"
#include "ops/matmul.h"
#include "pack.h"
#include "split.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 192;  // that share a packed block of b

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  using A = acc_t<T>;
  constexpr int64_t WIDTH = COLUMNS<A>;
  const int64_t count = batches(size);
  if (count * size.m * size.n == 0) return;
  const Grid grid = split(size, count, sn_num_threads());
  const int64_t tall = round_up(ceil_div(size.m, grid.down), ROWS), wide = round_up(ceil_div(size.n, grid.across), WIDTH);
  const int64_t down = ceil_div(size.m, tall), across = ceil_div(size.n, wide);
  const int64_t grain = max(1, int64_t(THREAD_WORK / work(tall, wide, size.k)));
  parallel_for(0, count * down * across, grain, [&](int64_t begin, int64_t end) {
    A sums[BLOCK_ROWS * WIDTH], packed[DEPTH * WIDTH];
    for (int64_t t = begin; t < end; t++) {
      const int64_t index = t / across / down, top = t / across % down * tall, left = t % across * wide;
      const int64_t bottom = min(top + tall, size.m), right = min(left + wide, size.n);
      const T* a0 = (const T*)a.data + batch_offset(size, a, index);
      const T* b0 = (const T*)b.data + batch_offset(size, b, index);
      for (int64_t i0 = top; i0 < bottom; i0 += BLOCK_ROWS)
        for (int64_t j0 = left; j0 < right; j0 += WIDTH) {
          const int64_t rows = min(BLOCK_ROWS, bottom - i0), columns = min(WIDTH, right - j0);
          const auto at = [&](int64_t i, int64_t j) { return (index * size.m + i0 + i) * size.n + j0 + j; };
          for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) sums[i * WIDTH + j] = first<T>(to, at(i, j));
          for (int64_t p0 = 0; p0 < size.k; p0 += DEPTH) {
            const int64_t depth = min(DEPTH, size.k - p0);
            pack<WIDTH>(b0 + p0 * b.row + j0 * b.column, b.column, b.row, columns, depth, packed);
            for (int64_t i = 0; i < rows; i += ROWS) {
              const T* const a_i = a0 + (i0 + i) * a.row + p0 * a.column;
              const auto numbers = [&](int64_t p, int r) SN_LAMBDA_INLINE { return load1(a_i + r * a.row + p * a.column); };
              fitting_tile<A>(min(ROWS, rows - i), depth, numbers, packed_columns(packed), sums + i * WIDTH, WIDTH, columns,
                              true);
            }
          }
          for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) finish<T>(sums[i * WIDTH + j], to, at(i, j), j0 + j);
        }
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
