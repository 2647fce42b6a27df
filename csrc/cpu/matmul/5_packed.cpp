// Matrix product, rung 5: both operands packed for every level of cache, rectangles of the result for threads (Goto and BLIS).
//
//   tile      ROWS x VECTORS registers of y: one vector of b serves ROWS rows, one number of a serves VECTORS vectors
//   panels    a and b are copied ("packed") into the order in which the tile reads them: any strides, no cache line wasted;
//             where a number is used too rarely to pay for that, the tile reads it where it lies
//   blocks    DEPTH terms of the sums at a time: a panel of a stays in L1, a block of a and a panel of b in L2, all of b in L3
//   sums      of CHAIN blocks in a place of their own, which is then added to y: a long k does not add up in one chain
//   threads   each computes its own rectangles of y; the sum over k is cut by k alone: the same bits for any number of threads
//
// https://www.cs.utexas.edu/~flame/pubs/GotoTOMS_revision.pdf, https://github.com/flame/blis
#include "cpu/column_sums.h"
#include "cpu/flush.h"
#include "cpu/gelu/gate.h"
#include "cpu/ladder.h"
#include "cpu/memory.h"
#include "ops/matmul.h"
#include "pack.h"
#include "tile.h"

namespace scratchnet {
namespace {

constexpr int64_t BLOCK_ROWS = 240;                                 // of a in L2
constexpr int64_t RECTANGLE_ROWS = 1536, RECTANGLE_COLUMNS = 1024;  // of y, at most
// From here on copying a pays, wherever it lies: with AVX2 4 % at 1024^3. AVX-512 multiplies by a number where it lies.
constexpr int64_t MANY_COLUMNS = VECTORS == 2 ? 128 : INT64_MAX;
constexpr int64_t FEW_ROWS = 2 * ROWS;                  // up to here copying b does not pay
constexpr int64_t INNER_ROWS = VECTORS == 2 ? 32 : 48;  // nor, where both lie along k, transposing it
constexpr int64_t NEAR = 1 << 17;                       // bytes of b that wait in L2 for the next rows of a
// Blocks of DEPTH terms that are added up one after the other. With the 501 blocks of 128,256 classes in one chain, the
// gradient of linear_cross_entropy lost half of its accuracy.
constexpr int64_t CHAIN = 16;

// c (rows, columns) = [c +] a b by inner products, for few rows and both operands in order along k: packing would not pay.
template <class T, int R>
void inner_products(int64_t rows, int64_t columns, int64_t k, const T* a, int64_t a_row, const T* b, int64_t b_column,
                    acc_t<T>* c, int64_t c_row, bool add) {
  using A = acc_t<T>;
  constexpr int WIDTH = R > 1 && ROWS * VECTORS < 16 ? 3 : 4;  // R x WIDTH sums at a time, beside which a register is left
  for (int64_t j = 0; j < columns; j += WIDTH)
    for (int64_t i = 0; i < rows; i += R) {
      vec<A> sum[R][WIDTH] = {};
      map<T>(0, k, [&](int64_t p, auto get, auto) SN_LAMBDA_INLINE {
        vec<A> b_p[WIDTH];
#pragma GCC unroll 4
        for (int w = 0; w < WIDTH; w++) b_p[w] = get(b + min(j + w, columns - 1) * b_column + p);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
          const auto a_p = get(a + min(i + r, rows - 1) * a_row + p);
#pragma GCC unroll 4
          for (int w = 0; w < WIDTH; w++) sum[r][w] += a_p * b_p[w];
        }
      });
      for (int r = 0; r < R && i + r < rows; r++)
        for (int w = 0; w < WIDTH && j + w < columns; w++) {
          A& to = c[(i + r) * c_row + j + w];
          to = vsum(sum[r][w]) + (add ? to : 0);
        }
    }
}

template <class V>
SN_INLINE V activate(V z, Activation activation) {
  using A = __typeof__(z[0] + 0);
  switch (activation) {
    case Activation::none: return z;
    case Activation::relu: return z < 0 ? V{} : z;  // NaN stays NaN
    case Activation::gelu: return z * gate<false, A>(z).cdf;
    default: return z * gate<true, A>(z).cdf;
  }
}

// y = act(c + bias), z = c + bias for a tile that is still in cache; c may be y or z itself.
template <class T>
void finish(int64_t rows, int64_t columns, const acc_t<T>* c, int64_t c_row, const Epilogue& to, int64_t at, int64_t y_row,
            int64_t j0) {
  for (int64_t i = 0; i < rows; i++)
    map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      auto z = get(c + i * c_row + j);
      if (to.bias) z += get((const T*)to.bias + j0 + j);
      if (to.z) put((T*)to.z + at + i * y_row + j, z);
      put((T*)to.y + at + i * y_row + j, activate(z, to.activation));
    });
}

// y = [y +] the sums of a chain.
template <class A>
void add_to(A* y, int64_t y_row, int64_t rows, int64_t columns, const A* sums, int64_t sums_row, bool add) {
  for (int64_t i = 0; i < rows; i++)
    map<A>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      A* const to = y + i * y_row + j;
      const auto sum = get(sums + i * sums_row + j);
      put(to, add ? get(to) + sum : sum);
    });
}

// How y is cut. Decided once for the whole product: the workspace is sized by it and every rectangle is walked by it. Asking
// `piece` again for the last rectangle, which has fewer rows, could give larger blocks (piece(1458, 240, 6) = 210,
// piece(1382, 240, 6) = 234) than the workspace holds.
struct Blocks {
  int64_t rows, columns;  // of a rectangle, at most
  int64_t height, depth;  // of the block of a that is packed at a time, at most
};

inline bool long_sums(const ProductSizes& size, const Blocks& blocks) { return size.k > CHAIN * blocks.depth; }

// The packed pieces of one thread.
template <class A>
struct Workspace {
  const Scratch<A> a, b, c;  // (height, depth), (depth, columns), and, where the sums do not grow in y, (rows, columns)
  Workspace(const Blocks& blocks, bool sums_apart)
      : a(blocks.height, blocks.depth), b(blocks.depth, blocks.columns), c(sums_apart ? blocks.rows : 0, blocks.columns) {}
};

// One rectangle of y: rows [i0, i0 + rows) and columns [j0, j0 + columns) of matrix `index` of the batch.
template <class T>
struct Rectangle {
  using A = acc_t<T>;
  static constexpr bool DIRECT = sizeof(T) == sizeof(A);  // the sums grow in y or z itself; 16-bit results need a wider place
  const ProductSizes& size;
  const Matrix &a, &b;
  const Epilogue& to;
  const Blocks& blocks;
  const Workspace<A>& packed;
  int64_t index, i0, rows, j0, columns;

  const T* a_at(int64_t i, int64_t p) const {
    return (const T*)a.data + batch_offset(size, a, index) + (i0 + i) * a.row + p * a.column;
  }
  const T* b_at(int64_t p, int64_t j) const {
    return (const T*)b.data + batch_offset(size, b, index) + p * b.row + (j0 + j) * b.column;
  }
  int64_t y_at(int64_t i, int64_t j) const { return (index * size.m + i0 + i) * size.n + j0 + j; }

  // Where the sums end up, and how far it is from row to row.
  A* total() const { return DIRECT ? (A*)(to.z ? to.z : to.y) + y_at(0, 0) : packed.c.data(); }
  int64_t total_row() const { return DIRECT ? size.n : columns; }

  // The sums of a tile have all their terms.
  void finish_tile(int64_t i, int64_t j, int64_t height, int64_t width, const A* sums, int64_t sums_row) const {
    if (!DIRECT || to.bias || to.activation != Activation::none)
      finish<T>(height, width, sums, sums_row, to, y_at(i, j), size.n, j0 + j);
  }
};

// All of y by inner products: few rows, and both operands in order along k.
template <class T>
void by_inner_products(const Rectangle<T>& r) {
  constexpr int64_t CHAINS = DEPTH * lanes<acc_t<T>>;  // one for each number of a register
  int64_t p = 0;
  do {  // once even for k = 0, which makes zeros
    const int64_t depth = min(CHAINS, r.size.k - p);
    (r.rows == 1 ? inner_products<T, 1> : inner_products<T, 4>)(r.rows, r.columns, depth, r.a_at(0, p), r.a.row, r.b_at(p, 0),
                                                                r.b.column, r.total(), r.total_row(), p > 0);
    p += depth;
  } while (p < r.size.k);
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

// The sums of a rectangle while they grow, one block of terms [p, p + depth) after another.
template <class T>
struct Growing {
  using A = acc_t<T>;
  const Rectangle<T>& r;
  const bool apart;   // c holds the sums of one chain, until they are added to the others
  const bool reused;  // each tile is complete at once: the next one takes its place
  A *const total, *const c;
  const int64_t total_row, c_row;
  int64_t p = 0, depth, chain = 0;  // chain: where the chain began whose sums are in c

  Growing(const Rectangle<T>& r, bool reused)
      : r(r),
        apart(r.DIRECT && long_sums(r.size, r.blocks)),
        reused(reused),
        total(r.total()),
        c(apart ? r.packed.c.data() : total),
        total_row(reused ? COLUMNS<A> : r.total_row()),
        c_row(apart ? r.columns : total_row),
        depth(min(r.blocks.depth, r.size.k)) {}

  // To the next block of terms, if there is one.
  bool next() {
    p += depth;
    if (p == chain + CHAIN * r.blocks.depth) chain = p;
    depth = min(r.blocks.depth, r.size.k - p);
    return p < r.size.k;
  }
  bool add() const { return apart ? p > chain : p > 0 || r.to.accumulate; }  // to what a tile holds already
  A* tile(int64_t i, int64_t j) const { return reused ? c : c + i * c_row + j; }

  // A tile has all terms of this block.
  SN_INLINE void done(int64_t i, int64_t j, int64_t height, int64_t width) const {
    const bool last = p + depth == r.size.k;
    A* const sums = reused ? total : total + i * total_row + j;
    if (apart && (last || p + depth == chain + CHAIN * r.blocks.depth))
      add_to(sums, total_row, height, width, tile(i, j), c_row, chain > 0 || r.to.accumulate);
    if (last) r.finish_tile(i, j, height, width, sums, total_row);
  }
};

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

// Few rows: whole panels of b are read where they lie, for copying would not pay. One or two rows take three panels at a time:
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

template <class T, int TERMS>
void compute(const Rectangle<T>& r) {
  const bool few = TERMS == 1 && r.size.m <= FEW_ROWS, inner = TERMS == 1 && r.size.m <= (r.DIRECT ? INNER_ROWS : FEW_ROWS);
  if (inner && r.a.column == 1 && r.b.row == 1 && !r.to.accumulate) return by_inner_products(r);
  if (r.size.k == 1 && r.b.column == 1 && !r.to.accumulate) return outer_product(r);
  if (few && r.b.column == 1 && r.columns >= COLUMNS<acc_t<T>>) return few_rows(r);
  by_blocks<T, TERMS>(r);
}

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

template <class T, int TERMS = 1>
void product(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to) {
  using A = acc_t<T>;
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, bf16> && TERMS == 1)
    if (size.m > FEW_ROWS && dot_bf16()) return product<T, 2>(size, a, b, to);
#endif
  const int64_t count = batches(size);
  if (count * size.m * size.n == 0) return;
  Grid grid = split(size, count, sn_num_threads());
  const int64_t rows = round_up(ceil_div(size.m, grid.down), ROWS);
  const int64_t columns = round_up(ceil_div(size.n, grid.across), COLUMNS<A>);
  grid = {ceil_div(size.m, rows), ceil_div(size.n, columns)};
  const Blocks blocks = {rows, columns, piece(rows, BLOCK_ROWS, ROWS), piece(size.k, DEPTH * TERMS * TERMS, TERMS)};
  const int64_t grain = max(1, int64_t(THREAD_WORK / work(rows, columns, size.k)));
  parallel_for(0, count * grid.down * grid.across, grain, [&](int64_t begin, int64_t end) {
    const Workspace<A> packed(blocks, sizeof(T) < sizeof(A) || long_sums(size, blocks));
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / grid.across % grid.down * rows, j = t % grid.across * columns;
      compute<T, TERMS>(
          {size, a, b, to, blocks, packed, t / grid.across / grid.down, i, min(rows, size.m - i), j, min(columns, size.n - j)});
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
