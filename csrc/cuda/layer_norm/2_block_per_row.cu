// LayerNorm and RMSNorm, rung 2: a block shares a row. Its threads read neighbours, 128 bits at a time (one element, where rows
// begin at any address), and their sums meet in shuffles.
//
//   forward   reads x once for each of mean, variance and y
//   backward  reads x and grad once for mean(a) and mean(a h), once for dx; dweight and dbias as in rung 1
//
// How LayerNorm keeps its digits, also for a mean of 1e4 and a deviation of 1: with d = x - mean, which is nearly exact, what
// the mean's rounding leaves over, c = mean(d), is a by-product of the pass for the variance, mean(d^2) - c^2, and of
// backward's pass for its sums. Then h = (d - c) rstd.
#include "cuda/ladder.h"
#include "cuda/layer_norm/rows.cuh"

namespace scratchnet {
namespace {

Grid rows_grid(int64_t rows) { return {dim3(1, std::min(rows, TILE_BLOCKS)), dim3(TILE_THREADS)}; }

// visit(column) for this thread's packs of a row.
template <int N, class Visit>
__device__ __forceinline__ void for_each_pack(int64_t columns, const Visit& visit) {
  for (int64_t column = threadIdx.x * N; column < columns; column += TILE_THREADS * N) visit(column);
}

template <class T, int N>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT) layer_norm_forward_kernel(NormForward p) {
  using A = acc_t<T>;
  using Load = const Bits<T, N>*;
  const T *weight = (const T*)p.weight, *bias = (const T*)p.bias;
  const int64_t columns = p.columns;
  const Place<T> at;
  for (int64_t row = at.row; row < p.rows; row += at.step) {
    const int64_t start = row * columns;
    const T* x = (const T*)(p.residual ? p.total : p.x) + start;  // what is normalised

    A sum = 0;
    for_each_pack<N>(columns, [&](int64_t j) {
      for (const A e : unpack(summed<T, N>(p, start + j)).lane) sum += e;
    });
    const A mean = p.mean ? mean_of_block(sum, columns) : 0;

    A squares = 0, over = 0;
    for_each_pack<N>(columns, [&](int64_t j) {
      for (const A e : unpack(*(Load)(x + j)).lane) squares += (e - mean) * (e - mean), over += e - mean;
    });
    const A rest = p.mean ? mean_of_block(over, columns) : 0;
    const A rstd = rstd_of(mean_of_block(squares, columns) - rest * rest, p);

    for_each_pack<N>(columns, [&](int64_t j) {
      Pack<T, N> v = unpack(*(Load)(x + j)), w, b;
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

template <class T>
void forward(const Launch& on, const NormForward& p) {
  const bool wide = aligned(p.columns, (const T*)p.x, p.residual, p.weight, p.bias, p.total, p.y);
  const auto kernel = wide ? layer_norm_forward_kernel<T, LANES<T>> : layer_norm_forward_kernel<T, 1>;
  launch(on, "layer_norm_forward", kernel, rows_grid(p.rows), p);
}

template <class T, int N>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT) layer_norm_backward_kernel(NormBackward p) {
  using A = acc_t<T>;
  using Load = const Bits<T, N>*;
  const T* weight = (const T*)p.weight;
  const int64_t columns = p.columns;
  const Place<T> at;
  for (int64_t row = at.row; row < p.rows; row += at.step) {
    const int64_t start = row * columns;
    const T *x = (const T*)p.x + start, *grad = (const T*)p.grad + start;
    const A mean = p.mean ? ((const A*)p.mean)[row] : 0, rstd = ((const A*)p.rstd)[row];

    A sum_a = 0, sum_ad = 0, sum_d = 0;
    for_each_pack<N>(columns, [&](int64_t j) {
      const Pack<T, N> v = unpack(*(Load)(x + j)), g = unpack(*(Load)(grad + j));
      Pack<T, N> w;
      if (weight) w = unpack(*(Load)(weight + j));
#pragma unroll
      for (int i = 0; i < N; i++) {
        const A d = v.lane[i] - mean, a = weight ? g.lane[i] * w.lane[i] : g.lane[i];
        sum_a += a, sum_ad += a * d, sum_d += d;
      }
    });
    const A rest = p.mean ? mean_of_block(sum_d, columns) : 0, mean_a = p.mean ? mean_of_block(sum_a, columns) : 0;
    const A mean_ah = (mean_of_block(sum_ad, columns) - rest * mean_a) * rstd;

    for_each_pack<N>(columns, [&](int64_t j) {
      const Pack<T, N> v = unpack(*(Load)(x + j)), g = unpack(*(Load)(grad + j));
      Pack<T, N> w, more, dx;
      if (weight) w = unpack(*(Load)(weight + j));
      if (p.grad_total) more = unpack(*(Load)((const T*)p.grad_total + start + j));
#pragma unroll
      for (int i = 0; i < N; i++) {
        const A a = weight ? g.lane[i] * w.lane[i] : g.lane[i], h = (v.lane[i] - mean - rest) * rstd;
        dx.lane[i] = (a - mean_a - h * mean_ah) * rstd + (p.grad_total ? more.lane[i] : 0);
      }
      *(Bits<T, N>*)((T*)p.dx + start + j) = rounded(dx);
    });
  }
}

template <class T>
void backward(const Launch& on, const NormBackward& p) {
  const bool wide = aligned(p.columns, (const T*)p.x, p.grad, p.grad_total, p.weight, p.dx);
  const auto kernel = wide ? layer_norm_backward_kernel<T, LANES<T>> : layer_norm_backward_kernel<T, 1>;
  if (p.dx) launch(on, "layer_norm_backward", kernel, rows_grid(p.rows), p);
  NormBackward parameters = p;
  parameters.dx = nullptr;
  layer_norm_kernels(1).backward(on, parameters);
}

}  // namespace

SN_DEFINE_RUNG(LayerNormKernels, layer_norm_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
