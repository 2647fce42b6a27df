// Matrix product, rung 8: what is copied only to be read once or twice is read where it lies.
//
//   a              in place if it lies as the tile wants it: AVX-512 multiplies by a number in memory
//   b, few rows    packing a panel of b costs as much as reading it. With 240 rows, 40 tiles share that cost; with 12 or fewer,
//                  as in a model that answers word by word, one or two do, and reading long pieces of b's rows is all there is
//                  to do. With one row b is read in the order in which it lies
//   b, more rows   the first tile of a panel reads b where it lies and packs the panel on the way (in_place.h), while the tiles
//                  below fetch the next panel
#include "cpu/ladder.h"
#include "growing.h"
#include "in_place.h"
#include "pack.h"

namespace scratchnet {
namespace {

// From here on copying a pays, wherever it lies: with AVX2 4 % at 1024^3. AVX-512 multiplies by a number where it lies.
constexpr int64_t MANY_COLUMNS = VECTORS == 2 ? 128 : INT64_MAX;
constexpr int64_t NEAR = 1 << 17;  // bytes of b that wait in L2 for the next rows of a

// Rows [first, first + height) of a and the terms of this block, for the tiles: f(i) gives the numbers of rows i, i + 1, ...
// Packed, unless a lies as the tile wants it: not copying saves 3 % at 1024^3, half the time for 64 columns.
template <int TERMS, class T>
SN_INLINE auto rows_of_a(const Growing<T>& sums, int64_t first, int64_t height) {
  using A = acc_t<T>;
  const Matrix& a = sums.r.a;
  const T* const from = sums.r.a_at(first, sums.p);
  const int64_t words = ceil_div(sums.depth, TERMS), row = a.row / TERMS;
  const bool in_order = TERMS * sizeof(T) == sizeof(A) && a.column == 1 && a.row % TERMS == 0 && sums.r.size.k % TERMS == 0;
  const bool in_place = in_order && (uintptr_t)from % sizeof(A) == 0 && sums.r.columns < MANY_COLUMNS;
  A* const packed = sums.r.packed.a.at(0, in_place ? 0 : round_up(height, ROWS) * words);
  if (!in_place) pack<ROWS, TERMS>(from, a.row, a.column, height, sums.depth, packed);
  return [=](int64_t i) SN_LAMBDA_INLINE {
    return in_place ? packed_rows((const A*)from + i * row, row, 1) : packed_rows(packed + i * words, 1, ROWS);
  };
}

// Whether the first tiles pack b: panels whose rows lie in order.
template <int TERMS, class T>
bool packed_by_tiles(const Rectangle<T>& r) {
  return TERMS == 1 && r.b.column == 1;
}

// The columns from j0 on of b, packed; but for the panels that the first tiles pack.
template <int TERMS, class T>
acc_t<T>* columns_of_b(const Growing<T>& sums, int64_t j0) {
  using A = acc_t<T>;
  const Rectangle<T>& r = sums.r;
  const int64_t columns = r.columns - j0, words = ceil_div(sums.depth, TERMS);
  const int64_t first = packed_by_tiles<TERMS>(r) ? columns / COLUMNS<A> * COLUMNS<A> : 0;
  A* const packed = r.packed.b.at(0, round_up(columns, COLUMNS<A>) * words);
  pack<COLUMNS<A>, TERMS>(r.b_at(sums.p, j0 + first), r.b.column, r.b.row, columns - first, sums.depth, packed + first * words);
  return packed;
}

// The tiles of rows [i0, i0 + height) and the columns from j0 on: down the columns, one panel of b after another; where all of
// b is near, along the rows, as y lies in memory.
//
// With few rows, reading b is most of the work. So the first tile of a panel packs it from what it reads anyway, and the tiles
// below it fetch the next panel, whose rows may be pages apart: 64 x 4096 x 4096 took 1.3 times as long without.
template <int TERMS, class T, class Rows>
SN_INLINE void packed_tiles(const Growing<T>& sums, const Rows& a, int64_t i0, int64_t height, int64_t j0, acc_t<T>* b) {
  using A = acc_t<T>;
  const Rectangle<T>& r = sums.r;
  const int64_t columns = r.columns - j0, words = ceil_div(sums.depth, TERMS);
  const int64_t down = ceil_div(height, ROWS), across = ceil_div(columns, COLUMNS<A>);
  const bool along = across * COLUMNS<A> * words * (int64_t)sizeof(A) <= NEAR;
  const int shift = down > 8 ? 3 : down > 4 ? 2 : down > 2 ? 1 : 0;  // 2^shift tiles fetch a panel
  for (int64_t t = 0; t < down * across; t++) {
    const int64_t i = (along ? t / across : t % down) * ROWS, j = (along ? t % across : t / down) * COLUMNS<A>;
    const int64_t tall = min(ROWS, height - i), wide = min(COLUMNS<A>, columns - j);
    A *const panel = b + j * words, *const c = sums.tile(i0 + i, j0 + j);
    const bool in_order = i0 == 0 && packed_by_tiles<TERMS>(r) && wide == COLUMNS<A>;
    const T* const from = r.b_at(sums.p, j0 + j);
    const int64_t share = sums.depth >> shift, begin = (i / ROWS - 1) * share;
    if (in_order && i == 0) {
      tile_of_rows<A, ROWS, VECTORS>(tall, words, a(i), copied_columns(from, r.b.row, panel), c, sums.c_row, wide, sums.add());
    } else if (in_order && !along && tall == ROWS && begin + share <= sums.depth && j + 2 * COLUMNS<A> <= columns) {
      const auto registers = fetching(packed_columns(panel), from + COLUMNS<A> + begin * r.b.row, r.b.row, shift);
      tile<A, ROWS, VECTORS, 1>(words, a(i), registers, c, sums.c_row, wide, sums.add());
    } else {
      fitting_tile<A, VECTORS, TERMS>(tall, words, a(i), packed_columns(panel), c, sums.c_row, wide, sums.add());
    }
    sums.done(i0 + i, j0 + j, tall, wide);
  }
}

// The loops of BLIS: blocks of terms, for which b is packed; blocks of rows, for which a is packed; tiles.
template <class T, int TERMS>
void by_blocks(const Rectangle<T>& r) {
  Growing<T> sums(r, !r.DIRECT && r.blocks.depth >= r.size.k);
  do {  // once even for k = 0, which makes zeros
    auto* const b = columns_of_b<TERMS>(sums, 0);
    for (int64_t i = 0; i < r.rows; i += r.blocks.height) {
      const int64_t height = min(r.blocks.height, r.rows - i);
      packed_tiles<TERMS>(sums, rows_of_a<TERMS>(sums, i, height), i, height, 0, b);
    }
  } while (sums.next());
}

// y (columns) = [y +] the sum of R rows of b, each times its number of a.
template <class T, int R>
void add_rows(int64_t rows, int64_t columns, const T* a, int64_t a_column, const T* b, int64_t b_row, acc_t<T>* y, bool add) {
  if constexpr (R > 1)
    if (rows < R) return add_rows<T, R - 1>(rows, columns, a, a_column, b, b_row, y, add);
  map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
    auto sum = load1(a) * get(b + j);
#pragma GCC unroll 8
    for (int r = 1; r < R; r++) sum += load1(a + r * a_column) * get(b + r * b_row + j);
    put(y + j, add ? get(y + j) + sum : sum);
  });
}

// One row: eight rows of b at a time are read from end to end, the CPU fetching ahead, and y waits in L1. Strips of b as wide
// as the registers, each a page from the last one, took 1.4 times as long with AVX2.
template <class T>
void one_row(const Rectangle<T>& r) {
  constexpr int TOGETHER = 8;
  Growing<T> sums(r, false);
  do {
    for (int64_t p = 0; p < sums.depth; p += TOGETHER)
      add_rows<T, TOGETHER>(sums.depth - p, r.columns, r.a_at(0, sums.p + p), r.a.column, r.b_at(sums.p + p, 0), r.b.row,
                            sums.tile(0, 0), p > 0 || sums.add());
    sums.done(0, 0, 1, r.columns);
  } while (sums.next());
}

// Few rows: whole panels of b are read where they lie, for copying would not pay. Two rows take three panels at a time:
// reading long pieces of b's rows is all that they do.
template <class T>
void few_rows(const Rectangle<T>& r) {
  using A = acc_t<T>;
  constexpr int WIDE = 3;
  const int64_t whole = r.columns / COLUMNS<A> * COLUMNS<A>;
  Growing<T> sums(r, false);
  do {
    // Before the tiles: packing the rest of a row of b fetches what they read of it.
    acc_t<T>* const rest = whole < r.columns ? columns_of_b<1>(sums, whole) : nullptr;
    const auto a = rows_of_a<1>(sums, 0, r.rows);
    const T* const b = r.b_at(sums.p, 0);
    for (int64_t j = 0, width; j < whole; j += width) {
      const auto registers = columns_in_place(b + j, r.b.row);
      const bool wide = r.rows <= 2 && whole - j >= WIDE * COLUMNS<A>;
      width = wide ? WIDE * COLUMNS<A> : COLUMNS<A>;
      for (int64_t i = 0; i < r.rows; i += ROWS) {
        const int64_t height = min(ROWS, r.rows - i);
        if (wide)
          tile_of_rows<A, 2, WIDE * VECTORS>(height, sums.depth, a(i), registers, sums.tile(i, j), sums.c_row, width,
                                             sums.add());
        else
          tile_of_rows<A, ROWS, VECTORS>(height, sums.depth, a(i), registers, sums.tile(i, j), sums.c_row, width, sums.add());
        sums.done(i, j, height, width);
      }
    }
    if (rest) packed_tiles<1>(sums, a, 0, r.rows, whole, rest);
  } while (sums.next());
}

template <class T>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  if (size.m <= FEW_ROWS && b.column == 1)
    return for_each_rectangle<T, 1>(size, a, b, to, size.m == 1 && size.k > 0 ? one_row<T> : few_rows<T>);
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, bf16>)
    if (size.m > FEW_ROWS && dot_bf16())
      return for_each_rectangle<T, 2>(size, a, b, to, [](const Rectangle<T>& r) { by_blocks<T, 2>(r); });
#endif
  for_each_rectangle<T, 1>(size, a, b, to, [](const Rectangle<T>& r) { by_blocks<T, 1>(r); });
}

}  // namespace

SN_DEFINE_RUNG(MatmulKernels, matmul_8) = {SN_TYPED(product), SN_FROM(matmul_kernels(7), activation_backward)};

}  // namespace scratchnet
