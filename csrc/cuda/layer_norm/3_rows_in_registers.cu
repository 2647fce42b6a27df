// LayerNorm and RMSNorm, rung 3: a row comes from memory once and stays in registers: a warp's if it is short, else a block's.
//
//   forward   reads x (and residual), writes y (and the sum):        8 bytes per element (float32; with residual 16)
//   backward  reads x and grad (and grad_total), writes dx:         12 bytes (16); dweight and dbias are summed on the way
//
// A warp keeps 1024 numbers, a block 4096, of float64 half as many. What a row has beyond them is read again in every pass.
// Loads and stores have 128 bits; where rows begin at any address, one element, and a warp then keeps 512.
#include "cuda/column_sums.cuh"
#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/layer_norm/rows.cuh"

namespace scratchnet {
namespace {

constexpr int WARP = 32, BLOCK = TILE_THREADS;  // threads that share a row
constexpr int64_t BACKWARD_BLOCKS = 512;        // fill any GPU, and leave few partial sums
constexpr int64_t MOST_SHARED = 96 << 10;       // bytes that a block of any GPU may have

template <class T, int THREADS, int N>
constexpr int KEPT = (THREADS == WARP && N > 1 ? 128 : 64) / sizeof(acc_t<T>);  // numbers of a row in a thread's registers

// A block takes eight short rows or one long row at a time, and there are at most `blocks` blocks; the sizes alone decide.
template <class T, int N>
Grid share(int64_t rows, int64_t columns, int64_t blocks) {
  const int height = columns <= WARP * KEPT<T, WARP, N> ? TILE_ROWS : 1;
  return {dim3(1, std::min(blocks, ceil_div(rows, height))), dim3(TILE_THREADS / height, height)};
}

template <int THREADS, class A>
__device__ __forceinline__ A mean_of_row(A sum, int64_t columns) {
  if constexpr (THREADS == WARP) return reduce_warp(sum, Add{}) / columns;
  else return mean_of_block(sum, columns);
}

// visit(k, column, kept) for this thread's packs of a row; kept is a constant: true for those that stay in registers.
template <class T, int THREADS, int N, class Visit>
__device__ __forceinline__ void for_each_pack(int64_t columns, const Visit& visit) {
  int64_t column = threadIdx.x * N;
#pragma unroll
  for (int k = 0; k < KEPT<T, THREADS, N> / N; k++, column += THREADS * N)
    if (column < columns) visit(k, column, true);
  if constexpr (THREADS > WARP) {
#pragma unroll 1  // no registers are left
    for (int64_t k = KEPT<T, THREADS, N> / N; column < columns; k++, column += THREADS * N) visit(k, column, false);
  }
}

template <class T, int THREADS, int N>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT) layer_norm_forward_kernel(NormForward p) {
  using A = acc_t<T>;
  using Load = const Bits<T, N>*;
  const T *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  const int64_t columns = p.columns;
  const Place<T> at;
  for (int64_t row = at.row; row < p.rows; row += at.step) {
    const int64_t start = row * columns;
    const T* x = (const T*)(p.residual ? p.total : p.x) + start;  // what is normalised
    Bits<T, N> row_bits[KEPT<T, THREADS, N> / N];
    const auto value = [&](int64_t k, int64_t j, bool kept) { return unpack(kept ? row_bits[k] : *(Load)(x + j)); };

    A sum = 0;
    for_each_pack<T, THREADS, N>(columns, [&](int64_t k, int64_t j, bool kept) {
      const Bits<T, N> bits = summed<T, N>(p, start + j);
      for (const A e : unpack(bits).lane) sum += e;
      if (kept) row_bits[k] = bits;
    });
    const A mean = p.mean ? mean_of_row<THREADS>(sum, columns) : 0;

    A squares = 0, over = 0;
    for_each_pack<T, THREADS, N>(columns, [&](int64_t k, int64_t j, bool kept) {
      for (const A e : value(k, j, kept).lane) squares += (e - mean) * (e - mean), over += e - mean;
    });
    const A rest = p.mean ? mean_of_row<THREADS>(over, columns) : 0;
    const A rstd = rstd_of(mean_of_row<THREADS>(squares, columns) - rest * rest, p);

    for_each_pack<T, THREADS, N>(columns, [&](int64_t k, int64_t j, bool kept) {
      Pack<T, N> v = value(k, j, kept), w, b;
      if (weight) w = unpack(*(Load)(weight + j));
      if (bias) b = unpack(*(Load)(bias + j));
#pragma unroll
      for (int i = 0; i < N; i++) {
        const A h = (v.lane[i] - mean - rest) * rstd;
        v.lane[i] = (weight ? h * w.lane[i] : h) + (bias ? b.lane[i] : 0);
      }
      *(Bits<T, N>*)((T*)p.y + start + j) = rounded(v);
    });
    if (threadIdx.x == 0) {
      if (p.mean) ((A*)p.mean)[row] = A(mean);
      ((A*)p.rstd)[row] = A(rstd);
    }
  }
}

template <class T, int N>
void forward(const Launch& on, const NormForward& p) {
  const Grid grid = share<T, N>(p.rows, p.columns, TILE_BLOCKS);
  const auto kernel = grid.threads.x == WARP ? layer_norm_forward_kernel<T, WARP, N> : layer_norm_forward_kernel<T, BLOCK, N>;
  launch(on, "layer_norm_forward", kernel, grid, p);
}
template <class T>
void forward(const Launch& on, const NormForward& p) {
  const bool wide = aligned(p.columns, (const T*)p.x, p.residual, p.weight, p.bias, p.total, p.y);
  (wide ? forward<T, LANES<T>> : forward<T, 1>)(on, p);
}

// The sums for dweight and dbias, if needed, grow in shared memory, for very long rows in `scratch`: each thread has a place
// for each of its columns there. In the end those of a block become a row of dweight and dbias (gridDim.y, columns).
template <class T, int THREADS, int N>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    layer_norm_backward_kernel(NormBackward p, acc_t<T>* dweight, acc_t<T>* dbias, acc_t<T>* scratch, int64_t places) {
  using A = acc_t<T>;
  using Load = const Bits<T, N>*;
  const T* weight = (const T*)p.weight;
  const int64_t columns = p.columns;
  const int thread = threadIdx.y * THREADS + threadIdx.x;
  A *sums = scratch ? scratch + blockIdx.y * 2 * places : dynamic_shared<A>(), *own = sums + thread;
  for (int64_t i = 0; i < 2 * places; i += TILE_THREADS) own[i] = 0;

  const Place<T> at;
  for (int64_t row = at.row; row < p.rows; row += at.step) {
    const int64_t start = row * columns;
    const T *x = (const T*)p.x + start, *grad = (const T*)p.grad + start;
    const A mean = p.mean ? ((const A*)p.mean)[row] : 0, rstd = ((const A*)p.rstd)[row];
    Bits<T, N> x_bits[KEPT<T, THREADS, N> / N], grad_bits[KEPT<T, THREADS, N> / N];

    A sum_a = 0, sum_ad = 0, sum_d = 0;
    for_each_pack<T, THREADS, N>(columns, [&](int64_t k, int64_t j, bool kept) {
      const Bits<T, N> own_x = *(Load)(x + j), own_grad = *(Load)(grad + j);
      if (kept) x_bits[k] = own_x, grad_bits[k] = own_grad;
      const Pack<T, N> v = unpack(own_x), g = unpack(own_grad);
      Pack<T, N> w;
      if (weight) w = unpack(*(Load)(weight + j));
#pragma unroll
      for (int i = 0; i < N; i++) {
        const A d = v.lane[i] - mean, a = weight ? g.lane[i] * w.lane[i] : g.lane[i];
        sum_a += a, sum_ad += a * d, sum_d += d;
      }
    });
    const A rest = p.mean ? mean_of_row<THREADS>(sum_d, columns) : 0;
    const A mean_a = p.mean ? mean_of_row<THREADS>(sum_a, columns) : 0;
    const A mean_ah = (mean_of_row<THREADS>(sum_ad, columns) - rest * mean_a) * rstd;

    for_each_pack<T, THREADS, N>(columns, [&](int64_t k, int64_t j, bool kept) {
      const Pack<T, N> v = unpack(kept ? x_bits[k] : *(Load)(x + j)), g = unpack(kept ? grad_bits[k] : *(Load)(grad + j));
      Pack<T, N> w, more, dx;
      if (weight) w = unpack(*(Load)(weight + j));
      if (p.grad_total) more = unpack(*(Load)((const T*)p.grad_total + start + j));
#pragma unroll
      for (int i = 0; i < N; i++) {
        const A a = weight ? g.lane[i] * w.lane[i] : g.lane[i], h = (v.lane[i] - mean - rest) * rstd;
        dx.lane[i] = (a - mean_a - h * mean_ah) * rstd + (p.grad_total ? more.lane[i] : 0);
        if (places) {
          A* sum = own + (k * N + i) * TILE_THREADS;
          sum[0] += g.lane[i] * h, sum[places] += g.lane[i];
        }
      }
      if (p.dx) *(Bits<T, N>*)((T*)p.dx + start + j) = rounded(dx);
    });
  }
  if (!places) return;
  __syncthreads();
  for (int64_t column = thread; column < columns; column += TILE_THREADS) {
    const int64_t pack = column / N;
    const A* sum = sums + (pack / THREADS * N + column % N) * TILE_THREADS + pack % THREADS;
    A of_weight = 0, of_bias = 0;
    for (int other = 0; other < TILE_THREADS; other += THREADS) of_weight += sum[other], of_bias += sum[places + other];
    if (dweight) dweight[blockIdx.y * columns + column] = of_weight;
    if (dbias) dbias[blockIdx.y * columns + column] = of_bias;
  }
}

template <class T, int N>
void backward(const Launch& on, const NormBackward& p) {
  using A = acc_t<T>;
  Grid grid = share<T, N>(p.rows, p.columns, BACKWARD_BLOCKS);
  const auto kernel = grid.threads.x == WARP ? layer_norm_backward_kernel<T, WARP, N> : layer_norm_backward_kernel<T, BLOCK, N>;
  A* dweight = p.dweight ? on.allocate<A>(grid.blocks.y * p.columns) : nullptr;
  A* dbias = p.dbias ? on.allocate<A>(grid.blocks.y * p.columns) : nullptr;
  const int64_t places = p.dweight || p.dbias ? ceil_div(p.columns, grid.threads.x * N) * N * TILE_THREADS : 0;
  const int64_t bytes = 2 * places * sizeof(A);
  A* scratch = bytes > MOST_SHARED ? on.allocate<A>(grid.blocks.y * 2 * places) : nullptr;
  if (!scratch) grid.dynamic_shared = bytes;
  launch(on, "layer_norm_backward", kernel, grid, p, dweight, dbias, scratch, places);
  if (p.dweight) column_sums(on, "layer_norm_backward", dweight, (T*)p.dweight, grid.blocks.y, p.columns);
  if (p.dbias) column_sums(on, "layer_norm_backward", dbias, (T*)p.dbias, grid.blocks.y, p.columns);
}
template <class T>
void backward(const Launch& on, const NormBackward& p) {
  const bool wide = aligned(p.columns, (const T*)p.x, p.grad, p.grad_total, p.weight, p.dx);
  (wide ? backward<T, LANES<T>> : backward<T, 1>)(on, p);
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_3) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
