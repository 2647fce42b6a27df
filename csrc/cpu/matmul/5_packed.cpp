// Matrix product, rung 5: both operands packed for every level of cache, rectangles of the result for threads (Goto and BLIS).
//
//   tile      ROWS x VECTORS registers of y: one vector of b serves ROWS rows, one number of a VECTORS vectors
//   panels    a and b are copied ("packed") into the order in which the tile reads them: any strides, no cache line wasted;
//             where a number is used too rarely to pay for that, the tile reads it where it lies
//   blocks    DEPTH terms of the sums at a time: a panel of a stays in L1, a block of a and a panel of b in L2, all of b in L3
//   sums      of CHAIN blocks in a place of their own, which is then added to y: a long k does not add up in one chain
//   threads   each computes its own rectangles of y; the sum over k is cut by k alone: the same bits for any number of threads
//
// https://www.cs.utexas.edu/~flame/pubs/GotoTOMS_revision.pdf, https://github.com/flame/blis
#include "cpu/column_sums.h"
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
constexpr int64_t FEW_ROWS = 2 * ROWS;                              // for which it does not pay to copy b
constexpr int64_t NEAR = 1 << 17;                                   // bytes of b that wait in L2 for the next rows of a
// Blocks of DEPTH terms that are added up one after the other. The 501 blocks of 128,256 classes in one chain cost the gradient
// of linear_cross_entropy half of its accuracy.
constexpr int64_t CHAIN = 16;

// c (rows, columns) = [c +] a b by inner products, for few rows and both operands in order along k: packing would not pay.
template <class T, int R>
void inner_products(int64_t rows, int64_t columns, int64_t k, const T* a, int64_t a_row, const T* b, int64_t b_column,
                    acc_t<T>* c, int64_t c_row, bool add) {
  using A = acc_t<T>;
  constexpr int WIDTH = 4;  // R x WIDTH sums at a time
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

// How y is cut. Decided once for the whole product: the workspace is sized by it and every rectangle is walked by it. Whoever
// asked `piece` again for the last rectangle, which has fewer rows, could get larger blocks (piece(1458, 240, 6) = 210,
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

// Columns [0, columns) of c, whole panels of them, with b read where it is. One or two rows take three panels at a time:
// reading long pieces of b's rows is all that they do.
template <class T, class Rows, class Done>
void tiles_in_place(int64_t rows, int64_t columns, int64_t depth, const Rows& a_rows, const T* b, int64_t b_row, acc_t<T>* c,
                    int64_t c_row, bool add, const Done& done) {
  using A = acc_t<T>;
  constexpr int WIDE = 3;
  for (int64_t j = 0, width; j < columns; j += width) {
    const auto registers = [=](int64_t p, int v) SN_LAMBDA_INLINE { return b + p * b_row + j + v * lanes<A>; };
    const bool wide = rows <= 2 && columns - j >= WIDE * COLUMNS<A>;
    width = wide ? WIDE * COLUMNS<A> : COLUMNS<A>;
    for (int64_t i = 0; i < rows; i += ROWS) {
      const auto numbers = a_rows(i);
      const int64_t height = min(ROWS, rows - i);
      A* const to = c + i * c_row + j;
      if (wide) tile_of_rows<A, 2, WIDE * VECTORS>(height, depth, numbers, registers, to, c_row, width, add);
      else tile_of_rows<A, ROWS, VECTORS>(height, depth, numbers, registers, to, c_row, width, add);
      done(i, j, height, width);
    }
  }
}

// One rectangle of y: rows [i0, i0 + rows) and columns [j0, j0 + columns) of matrix `index` of the batch.
template <class T, int TERMS>
void rectangle(const ProductSizes& size, const Matrix& a, const Matrix& b, const Epilogue& to, int64_t index, int64_t i0,
               int64_t rows, int64_t j0, int64_t columns, const Blocks& blocks, const Workspace<acc_t<T>>& packed) {
  using A = acc_t<T>;
  constexpr bool direct = sizeof(T) == sizeof(A);  // the sums grow in y or z itself; 16-bit results need a wider place
  const T* a0 = (const T*)a.data + batch_offset(size, a, index) + i0 * a.row;
  const T* b0 = (const T*)b.data + batch_offset(size, b, index) + j0 * b.column;
  const int64_t y0 = (index * size.m + i0) * size.n + j0;
  A* const total = direct ? (A*)(to.z ? to.z : to.y) + y0 : packed.c.data();
  const bool few = TERMS == 1 && size.m <= FEW_ROWS;
  const int64_t unpacked = few && b.column == 1 ? columns / COLUMNS<A> * COLUMNS<A> : 0;
  const bool in_order = TERMS * sizeof(T) == sizeof(A) && a.column == 1 && a.row % TERMS == 0 && size.k % TERMS == 0;
  const bool a_in_place =
      in_order && (uintptr_t)a0 % sizeof(A) == 0;  // not copied: 3 % at 1024^3, half the time for 64 columns
  const bool inner = few && a.column == 1 && b.row == 1 && !to.accumulate;
  const bool apart = direct && !inner && long_sums(size, blocks);  // c holds the sums of one chain, until they are added to y
  A* const c = apart ? packed.c.data() : total;
  const bool reused =
      !direct && !unpacked && !inner && blocks.depth >= size.k;  // a tile is complete at once: the next takes its place
  const int64_t total_row = direct ? size.n : reused ? COLUMNS<A> : columns, c_row = apart ? columns : total_row;
  const auto place = [=](A* from, int64_t row, int64_t i, int64_t j) { return reused ? from : from + i * row + j; };
  int64_t p = 0, depth = size.k, chain = 0;  // where the chain began whose sums are in c
  const auto done = [&](int64_t i, int64_t j, int64_t height, int64_t width) {
    const bool last = p + depth == size.k;
    A* const sums = place(total, total_row, i, j);
    if (apart && (last || p + depth == chain + CHAIN * blocks.depth))
      add_to(sums, total_row, height, width, place(c, c_row, i, j), c_row, chain > 0 || to.accumulate);
    if (last && (!direct || to.bias || to.activation != Activation::none))
      finish<T>(height, width, sums, total_row, to, y0 + i * size.n + j, size.n, j0 + j);
  };
  if (inner) {
    constexpr int64_t CHAINS = DEPTH * lanes<A>;  // one for each number of a register
    do {
      depth = min(CHAINS, size.k - p);
      (rows == 1 ? inner_products<T, 1> : inner_products<T, 4>)(rows, columns, depth, a0 + p, a.row, b0 + p, b.column, total,
                                                                total_row, p > 0);
      p += depth;
    } while (p < size.k);
    p = 0, depth = size.k;
    return done(0, 0, rows, columns);  // all of y is one tile
  }
  if (size.k == 1 && b.column == 1 && !to.accumulate) {  // an outer product: as fast as y can be written
    for (int64_t i = 0; i < rows; i++) {
      map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        put(place(c, c_row, i, 0) + j, load1(a0 + i * a.row) * get(b0 + j));
      });
      done(i, 0, 1, columns);
    }
    return;
  }
  do {  // once even for k = 0, which makes zeros
    depth = min(blocks.depth, size.k - p);
    const int64_t words = ceil_div(depth, TERMS);
    const T* b_p = b0 + p * b.row;
    const bool add = apart ? p > chain : p > 0 || to.accumulate;
    pack<COLUMNS<A>, TERMS>(b_p + unpacked * b.column, b.column, b.row, columns - unpacked, depth,
                            packed.b.at(0, round_up(columns - unpacked, COLUMNS<A>) * words));
    for (int64_t i1 = 0; i1 < rows; i1 += blocks.height) {
      const int64_t height = min(blocks.height, rows - i1);
      const T* a_p = a0 + i1 * a.row + p * a.column;
      if (!a_in_place) pack<ROWS, TERMS>(a_p, a.row, a.column, height, depth, packed.a.at(0, round_up(height, ROWS) * words));
      const auto a_rows = [&](int64_t i) SN_LAMBDA_INLINE {
        return a_in_place ? packed_rows((const A*)a_p + i * (a.row / TERMS), a.row / TERMS, 1)
                          : packed_rows(packed.a.at(i * words, ROWS * words), 1, ROWS);
      };
      tiles_in_place(height, unpacked, depth, a_rows, b_p, b.row, c, c_row, add, done);
      // Down the columns, a panel of b after the other; where all of b is near, along the rows, as y lies in memory.
      const int64_t down = ceil_div(height, ROWS), across = ceil_div(columns - unpacked, COLUMNS<A>);
      const bool along = across * COLUMNS<A> * words * (int64_t)sizeof(A) <= NEAR;
      for (int64_t t = 0; t < down * across; t++) {
        const int64_t i = (along ? t / across : t % down) * ROWS, panel = (along ? t % across : t / down) * COLUMNS<A>;
        const int64_t j = unpacked + panel, r = min(ROWS, height - i), width = min(COLUMNS<A>, columns - j);
        fitting_tile<A, VECTORS, TERMS>(r, words, a_rows(i), packed_columns(packed.b.at(panel * words, COLUMNS<A> * words)),
                                        place(c, c_row, i1 + i, j), c_row, width, add);
        done(i1 + i, j, r, width);
      }
    }
    p += depth;
    if (p == chain + CHAIN * blocks.depth) chain = p;
  } while (p < size.k);
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
  if (threads == 1 || count * work(size.m, size.n, size.k) < 2 * THREAD_WORK) return least;
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
  const int64_t grain = 1 + int64_t(THREAD_WORK / work(rows, columns, size.k));
  parallel_for(0, count * grid.down * grid.across, grain, [&](int64_t begin, int64_t end) {
    const Workspace<A> packed(blocks, sizeof(T) < sizeof(A) || long_sums(size, blocks));
    for (int64_t t = begin; t < end; t++) {
      const int64_t i = t / grid.across % grid.down * rows, j = t % grid.across * columns;
      rectangle<T, TERMS>(size, a, b, to, t / grid.across / grid.down, i, min(rows, size.m - i), j, min(columns, size.n - j),
                          blocks, packed);
    }
  });
}

template <class T>
void activation_backward(const T* grad, const T* saved, T* dz, T* dbias, int64_t rows, int64_t columns, Activation activation) {
  using A = acc_t<T>;
  ColumnSums<A> sums(rows, columns);
  sums.for_each_chunk([&](int64_t begin, int64_t end, A* partial) {
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
