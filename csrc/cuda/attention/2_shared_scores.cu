// Attention, rung 2: a block for each query, and for dk and dv for each key. Every score is made once, by one thread, and lies
// in shared memory for all others, each of which has a number of the result. Rung 1 makes it anew for each of them.
//
//   forward, dq   a block has one query and walks along the keys, THREADS at a time
//   dk, dv        a block has one key and walks along the queries of the heads that share it
//
// More than THREADS numbers of a result are those of further blocks along y. delta is made once, for all gradients.
#include "cuda/reduce.cuh"
#include "scores.cuh"

namespace scratchnet {
namespace {

constexpr int RESIDENT = 4;  // minimum resident blocks per SM: room for 128 registers; without it nvcc takes 96 and spills

// The block's row, of `count` to each head of `heads`, and the thread's column.
struct Place {
  int64_t b, h, i, e;

  __device__ Place(int64_t heads, int64_t count)
      : b(blockIdx.x / count / heads),
        h(blockIdx.x / count % heads),
        i(blockIdx.x % count),
        e((int64_t)blockIdx.y * THREADS + threadIdx.x) {}
};

Grid blocks(int64_t rows, int64_t columns) {
  return {dim3(blocks_along_x(rows), (unsigned)ceil_div(columns, THREADS)), dim3(THREADS)};
}

// sum over k < count of weight[k] row(k)[e]
template <class T>
__device__ double weighted(const double* weight, int64_t count, const Heads& t, int64_t b, int64_t h, int64_t first,
                           int64_t e) {
  double sum = 0;
  for (int64_t k = 0; k < count; k++) sum += weight[k] * load1(at<T>(t, b, h, first + k) + e * t.column);
  return sum;
}

template <class T>
__global__ void __launch_bounds__(THREADS, RESIDENT) attention_forward_kernel(const __grid_constant__ AttentionForward p) {
  __shared__ double weight[THREADS];
  const Place here(p.heads, p.queries);
  const Span seen = p.visible(here.i);
  double m = sink<T>(p, here.h), l = m == -INFINITY ? 0 : 1, o = 0;
  for (int64_t first = seen.begin; first < seen.end; first += THREADS) {
    const int64_t j = first + threadIdx.x;
    const double s = j < seen.end ? score<T>(p, here.b, here.h, here.i, j).value : -INFINITY;
    const double largest = Max{}(m, reduce_block(s, Max{}, -(double)INFINITY)), shift = largest == -INFINITY ? 0 : largest;
    const double w = exp(s - shift), shrink = m == largest ? 1 : exp(m - shift);
    l = l * shrink + reduce_block(w, Add{}, 0.0), m = largest;
    weight[threadIdx.x] = j < seen.end ? kept(p, here.b, here.h, here.i, j) * w : 0;
    __syncthreads();
    if (here.e < p.value_size)
      o = o * shrink + weighted<T>(weight, min(THREADS, seen.end - first), p.v, here.b, p.group(here.h), first, here.e);
    __syncthreads();
  }
  if (here.e < p.value_size)
    store1((T*)p.y + ((here.b * p.queries + here.i) * p.heads + here.h) * p.value_size + here.e, acc_t<T>(l == 0 ? 0 : o / l));
  if (here.e == 0) p.lse[p.row(here.b, here.h, here.i)] = l == 0 ? INFINITY : m + log(l);
}

template <class T>
void forward(const Launch& on, const AttentionForward& p) {
  const Grid grid = blocks(p.batches * p.heads * p.queries, max(1, p.value_size));
  launch(on, "attention_forward", attention_forward_kernel<T>, grid, p);
}

template <class T>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    attention_delta_kernel(const __grid_constant__ AttentionBackward p, double* delta) {
  const int64_t row = thread_index();
  if (row >= p.batches * p.heads * p.queries) return;
  delta[row] = delta_of<T>(p, row / p.queries / p.heads, row / p.queries % p.heads, row % p.queries);
}

template <class T>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    attention_backward_queries_kernel(const __grid_constant__ AttentionBackward p, const double* delta) {
  __shared__ double weight[THREADS];
  const Place here(p.heads, p.queries);
  const Span seen = p.visible(here.i);
  double sum = 0;
  for (int64_t first = seen.begin; first < seen.end; first += THREADS) {
    const int64_t j = first + threadIdx.x;
    if (j < seen.end)
      weight[threadIdx.x] = terms<T>(p, here.b, here.h, here.i, j, delta[p.row(here.b, here.h, here.i)]).of_product;
    __syncthreads();
    if (here.e < p.size)
      sum += weighted<T>(weight, min(THREADS, seen.end - first), p.k, here.b, p.group(here.h), first, here.e);
    __syncthreads();
  }
  if (here.e < p.size) store1((T*)p.dq + p.row(here.b, here.h, here.i) * p.size + here.e, acc_t<T>(sum));
}

// dk, or dv
template <class T, bool VALUES>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    attention_backward_keys_kernel(const __grid_constant__ AttentionBackward p, const double* delta) {
  __shared__ double weight[THREADS];
  const Place here(p.groups, p.keys);
  const int64_t size = VALUES ? p.value_size : p.size, share = p.heads / p.groups;
  double sum = 0;
  for (int64_t h = here.h * share; h < (here.h + 1) * share; h++)
    for (int64_t first = 0; first < p.queries; first += THREADS) {
      const int64_t i = first + threadIdx.x;
      if (i < p.queries) {
        const Terms t = terms<T>(p, here.b, h, i, here.i, delta[p.row(here.b, h, i)]);
        weight[threadIdx.x] = VALUES ? t.dropped : t.of_product;
      }
      __syncthreads();
      if (here.e < size)
        sum += weighted<T>(weight, min(THREADS, p.queries - first), VALUES ? p.grad : p.q, here.b, h, first, here.e);
      __syncthreads();
    }
  if (here.e < size) store1((T*)(VALUES ? p.dv : p.dk) + blockIdx.x * size + here.e, acc_t<T>(sum));
}

template <class T>
void backward(const Launch& on, const AttentionBackward& p) {
  const char* name = "attention_backward";
  const int64_t rows = p.batches * p.heads * p.queries, keys = p.batches * p.groups * p.keys;
  double* const delta = on.allocate<double>(rows);
  launch(on, name, attention_delta_kernel<T>, elementwise(rows, THREADS), p, delta);
  if (p.dq) launch(on, name, attention_backward_queries_kernel<T>, blocks(rows, p.size), p, delta);
  if (p.dk) launch(on, name, attention_backward_keys_kernel<T, false>, blocks(keys, p.size), p, delta);
  if (p.dv) launch(on, name, attention_backward_keys_kernel<T, true>, blocks(keys, p.value_size), p, delta);
  AttentionBackward rest = p;  // the gradients of mask and sinks are those of rung 1
  rest.dq = rest.dk = rest.dv = nullptr;
  attention_kernels(1).backward(on, rest);
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_2) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
