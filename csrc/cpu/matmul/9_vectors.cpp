// Matrix product, rung 9: products of vectors, where nothing is used often enough to pay for a copy.
//
//   inner products   few rows or few columns, and operands in order along k: registers run along k, and are added up at the end
//   outer products   k = 1: as fast as y can be written
#include "cpu/ladder.h"
#include "rectangle.h"

namespace scratchnet {
namespace {

constexpr int64_t INNER_ROWS = VECTORS == 2 ? 32 : 48;  // up to here transposing b does not pay
template <class T>                                      // up to here packing a does not pay
constexpr int64_t INNER_COLUMNS = VECTORS == 2 && sizeof(T) != sizeof(float) ? 4 : 8;

// Few lines against many, all in order along k: lines a step apart.
template <class T>
struct Lines {
  const T* from;
  int64_t count, step;
  const T* at(int64_t i) const { return from + min(i, count - 1) * step; }
};

// c (a, b) = [c +] the inner products of the few lines of a with the many of b: packing would not pay.
template <class T, int R>
void inner_products(int64_t k, const Lines<T>& a, const Lines<T>& b, acc_t<T>* c, int64_t c_a, int64_t c_b, bool add) {
  using A = acc_t<T>;
  constexpr int WIDTH = R > 1 && ROWS * VECTORS < 16 ? 3 : 4;  // R x WIDTH sums at a time, beside which a register is left
  for (int64_t j = 0; j < b.count; j += WIDTH)
    for (int64_t i = 0; i < a.count; i += R) {
      vec<A> sum[R][WIDTH] = {};
      map<T>(0, k, [&](int64_t p, auto get, auto) SN_LAMBDA_INLINE {
        vec<A> b_p[WIDTH];
#pragma GCC unroll 4
        for (int w = 0; w < WIDTH; w++) b_p[w] = get(b.at(j + w) + p);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
          const auto a_p = get(a.at(i + r) + p);
#pragma GCC unroll 4
          for (int w = 0; w < WIDTH; w++) sum[r][w] += a_p * b_p[w];
        }
      });
      for (int r = 0; r < R && i + r < a.count; r++)
        for (int w = 0; w < WIDTH && j + w < b.count; w++) {
          A& to = c[(i + r) * c_a + (j + w) * c_b];
          to = vsum(sum[r][w]) + (add ? to : 0);
        }
    }
}

// All of y by inner products: few rows, or few columns. Of few columns that lie out of order along k a copy lies in order.
template <class T>
void by_inner_products(const Rectangle<T>& r) {
  constexpr int64_t CHAINS = DEPTH * lanes<acc_t<T>>;  // one for each number of a register
  const int64_t k = r.size.k;
  const bool in_order = r.b.row == 1, few_rows = r.size.m <= r.size.n;
  const Scratch<T> copy(in_order ? 0 : r.columns, k);
  if (!in_order)
    for (int64_t j = 0; j < r.columns; j++)
      for (int64_t p = 0; p < k; p++) copy[j * k + p] = *r.b_at(p, j);
  int64_t p = 0;
  do {  // once even for k = 0, which makes zeros
    const int64_t depth = min(CHAINS, k - p);
    const Lines<T> rows = {r.a_at(0, p), r.rows, r.a.row};
    const Lines<T> columns = {in_order ? r.b_at(p, 0) : copy.data() + p, r.columns, in_order ? r.b.column : k};
    const auto& [few, many] = few_rows ? std::pair(rows, columns) : std::pair(columns, rows);
    const int64_t down = few_rows ? r.total_row() : 1, across = few_rows ? 1 : r.total_row();
    (few.count == 1 ? inner_products<T, 1> : inner_products<T, 4>)(depth, few, many, r.total(), down, across, p > 0);
    p += depth;
  } while (p < k);
  r.finish_tile(0, 0, r.rows, r.columns, r.total(), r.total_row());
}

// k = 1: as fast as y can be written.
template <class T>
void outer_product(const Rectangle<T>& r) {
  const T *a = r.a_at(0, 0), *b = r.b_at(0, 0);
  for (int64_t i = 0; i < r.rows; i++) {
    auto* const row = r.total() + (r.DIRECT ? i * r.size.n : 0);
    map<T>(0, r.columns,
           [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE { put(row + j, load1(a + i * r.a.row) * get(b + j)); });
    r.finish_tile(i, 0, 1, r.columns, row, r.total_row());
  }
}

// Does what it can; whether it could.
template <class T>
bool product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  const bool few_rows = size.m <= (Rectangle<T>::DIRECT ? INNER_ROWS : FEW_ROWS) && b.row == 1;
  const bool few_columns = size.n <= INNER_COLUMNS<T> && size.n < size.m;
  if (to.accumulate) return false;
  if ((few_rows || few_columns) && a.column == 1) return for_each_rectangle<T, 1>(size, a, b, to, by_inner_products<T>), true;
  if (size.k == 1 && b.column == 1) return for_each_rectangle<T, 1>(size, a, b, to, outer_product<T>), true;
  return false;
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_9) = {
    [](const On& on, const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
      SN_FLOATS(on.dtype, if (product<T>(size, a, b, to)) return);
      matmul_kernels(8).product(on, size, a, b, to);
    },
    SN_FROM(matmul_kernels(8), activation_backward),
};

}  // namespace scratchnet
