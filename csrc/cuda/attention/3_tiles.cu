// Attention, rung 3: forward in tiles. A block has ROWS queries and COLUMNS columns of the values, and takes ROWS keys at a
// time: these, like their values, come into shared memory once and serve all queries of the block. A thread has one score of a
// tile.
//
//   bytes (L queries, S keys of E numbers of b bytes, per head)      2 L S E b / ROWS, from the L2 cache
//
// Backward is that of rung 2.
#include "cuda/reduce.cuh"
#include "scores.cuh"

namespace scratchnet {
namespace {

constexpr int ROWS = 16, COLUMNS = 64;  // half a warp shares a query
constexpr int RESIDENT = 2;             // minimum resident blocks per SM: room for 128 registers
constexpr int DEPTH = 32;               // terms of the products that are in shared memory at a time

// to (ROWS, WIDTH + 1) = rows [first, last) and columns [e, e + WIDTH) of a head; zeros where there are none. One more column
// than needed: threads that read down a column meet different banks.
template <class T, int WIDTH>
__device__ __forceinline__ void load_tile(acc_t<T> (&to)[ROWS][WIDTH + 1], const Heads& t, int64_t b, int64_t h, int64_t first,
                                          int64_t last, int64_t e, int64_t size) {
  for (int k = threadIdx.x; k < ROWS * WIDTH; k += ROWS * ROWS) {
    const int64_t row = first + k / WIDTH, column = e + k % WIDTH;
    to[k / WIDTH][k % WIDTH] = row < last && column < size ? load1(at<T>(t, b, h, row) + column * t.column) : acc_t<T>(0);
  }
}

template <class T>
__global__ void __launch_bounds__(ROWS* ROWS, RESIDENT) attention_forward_kernel(const __grid_constant__ AttentionForward p) {
  using A = acc_t<T>;
  __shared__ A query[ROWS][DEPTH + 1], key[ROWS][DEPTH + 1], value[ROWS][COLUMNS + 1], weight[ROWS][ROWS + 1];
  const int r = threadIdx.x / ROWS, c = threadIdx.x % ROWS;
  const int64_t tiles = ceil_div(p.queries, ROWS), first_i = blockIdx.x % tiles * ROWS, i = first_i + r;
  const int64_t b = blockIdx.x / tiles / p.heads, h = blockIdx.x / tiles % p.heads, g = p.group(h);
  const int64_t end = p.visible(min(first_i + ROWS, p.queries) - 1).end, e = (int64_t)blockIdx.y * COLUMNS;
  const Span seen = i < p.queries ? p.visible(i) : Span{0, 0};
  A m = sink<T>(p, h), l = m == -INFINITY ? 0 : 1, o[COLUMNS / ROWS] = {};
  for (int64_t first = p.visible(first_i).begin; first < end; first += ROWS) {
    A product = 0;
    for (int64_t depth = 0; depth < p.size; depth += DEPTH) {
      load_tile<T, DEPTH>(query, p.q, b, h, first_i, p.queries, depth, p.size);
      load_tile<T, DEPTH>(key, p.k, b, g, first, p.keys, depth, p.size);
      __syncthreads();
      for (int k = 0; k < DEPTH; k++) product += query[r][k] * key[c][k];
      __syncthreads();
    }
    const int64_t j = first + c;
    const bool inside = seen.begin <= j && j < seen.end;
    const A s = inside ? score_of<T>(p, b, h, i, j, product).value : -INFINITY;
    const A largest = Max{}(m, reduce_warp(s, Max{}, ROWS)), shift = largest == -INFINITY ? 0 : largest;
    const A w = exp(s - shift), shrink = m == largest ? 1 : exp(m - shift);
    l = l * shrink + reduce_warp(w, Add{}, ROWS), m = largest;
    weight[r][c] = inside ? A(kept(p, b, h, i, j)) * w : 0;
    load_tile<T, COLUMNS>(value, p.v, b, g, first, p.keys, e, p.value_size);
    __syncthreads();
#pragma unroll
    for (int n = 0; n < COLUMNS / ROWS; n++) {
      A sum = 0;
      for (int k = 0; k < ROWS; k++) sum += weight[r][k] * value[k][c + n * ROWS];
      o[n] = o[n] * shrink + sum;
    }
    __syncthreads();
  }
  if (i >= p.queries) return;
  T* const y = (T*)p.y + ((b * p.queries + i) * p.heads + h) * p.value_size;
#pragma unroll
  for (int n = 0; n < COLUMNS / ROWS; n++)
    if (const int64_t column = e + c + n * ROWS; column < p.value_size) store1(y + column, l == 0 ? A(0) : o[n] / l);
  if (e + c == 0) p.lse[p.row(b, h, i)] = l == 0 ? INFINITY : m + log(l);
}

template <class T>
void forward(const Launch& on, const AttentionForward& p) {
  const int64_t tiles = p.batches * p.heads * ceil_div(p.queries, ROWS), parts = ceil_div(max(1, p.value_size), COLUMNS);
  launch(on, "attention_forward", attention_forward_kernel<T>,
         {dim3(blocks_along_x(tiles), (unsigned)parts), dim3(ROWS * ROWS)}, p);
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_3) = {
    SN_TYPED(forward),
    [](const On& on, const AttentionBackward& p) { attention_kernels(2).backward(on, p); },
};

}  // namespace scratchnet
