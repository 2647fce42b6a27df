// Rows of a tensor (outer, classes, inner), reduced over classes: which thread reads what, 128 bits at a time, and reductions
// over its rows.
#pragma once
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/vector.cuh"

namespace scratchnet {
namespace {

constexpr int ROW_THREADS = 256, ROW_RESIDENT = 2, STRIP_WIDTH = 32, STRIP_HEIGHT = ROW_THREADS / STRIP_WIDTH;

// Where a thread stands. A pack holds successive classes of a row that lies in order in memory (inner = 1), which a whole block
// walks. Otherwise (STRIP) it holds the same class of successive rows, the block has a strip of rows, and eight threads, one
// below the other, share the classes of each.
template <class T, bool STRIP>
struct Rows {
  static constexpr int COUNT = STRIP ? LANES<T> : 1;  // rows of a thread: there is one number of each kind for each of them

  int64_t classes, inner, row, left;  // the first row of the thread; how many rows there are from there on, with STRIP
  int64_t begin;                      // of the row in the tensor
  int64_t first, step;                // classes of the thread
  bool wide;

  __device__ Rows(int64_t classes, int64_t inner, bool wide) : classes(classes), inner(inner), wide(wide) {
    if constexpr (STRIP) {
      const int64_t strips = (inner + STRIP_WIDTH * LANES<T> - 1) / (STRIP_WIDTH * LANES<T>), outer = blockIdx.x / strips;
      const int64_t j = (blockIdx.x % strips * STRIP_WIDTH + threadIdx.x) * LANES<T>;
      left = inner - j;
      row = outer * inner + j, begin = outer * classes * inner + j;
      first = left > 0 ? threadIdx.y : classes, step = STRIP_HEIGHT;
    } else {
      left = 1;
      row = blockIdx.x, begin = row * classes;
      first = threadIdx.x * LANES<T>, step = (int64_t)blockDim.x * LANES<T>;
    }
  }

  __device__ static int of(int lane) { return STRIP ? lane : 0; }  // the row of a lane
  __device__ int64_t class_of(int64_t c, int lane) const { return STRIP ? c : c + lane; }
  __device__ int64_t count(int64_t c) const { return STRIP ? left : classes - c; }  // of lanes that exist
  __device__ int64_t at(int64_t c) const { return begin + c * inner; }

  // The thread's pack that begins with class c.
  __device__ Pack<T> load(const T* x, int64_t c) const { return scratchnet::load(x + at(c), count(c), wide); }
  __device__ void store(T* y, int64_t c, const Pack<T>& pack) const { scratchnet::store(y + at(c), pack, count(c), wide); }

  // f(class of the first lane) for every pack of the thread
  template <class F>
  __device__ void for_each(const F& f) const {
    for (int64_t c = first; c < classes; c += step) f(c);
  }
  // y = f(x, number of the row)
  template <class F>
  __device__ void map(const T* x, T* y, const F& f) const {
    for_each([&](int64_t c) {
      Pack<T> pack = load(x, c);
#pragma unroll
      for (int e = 0; e < LANES<T>; e++) pack.lane[e] = f(pack.lane[e], of(e));
      store(y, c, pack);
    });
  }
  // f(number of a row) for the thread's rows, in one thread of those that share a row
  template <class F>
  __device__ void once(const F& f) const {
    if (STRIP ? threadIdx.y == 0 : threadIdx.x == 0)
#pragma unroll
      for (int r = 0; r < COUNT; r++)
        if (r < left) f(r);
  }

  // From the partial results of each thread to those of all threads together.
  template <class A, class Op>
  __device__ void reduce(A (&value)[COUNT], Op op, A neutral) const {
    if constexpr (STRIP) {
      __shared__ A of_thread[STRIP_HEIGHT][STRIP_WIDTH][COUNT + 1];
#pragma unroll
      for (int r = 0; r < COUNT; r++) of_thread[threadIdx.y][threadIdx.x][r] = value[r];
      __syncthreads();
#pragma unroll
      for (int r = 0; r < COUNT; r++) {
        value[r] = neutral;
        for (int i = 0; i < STRIP_HEIGHT; i++) value[r] = op(value[r], of_thread[i][threadIdx.x][r]);
      }
      __syncthreads();  // all have read before a next call writes
    } else {
      value[0] = reduce_block(value[0], op, neutral);
    }
  }

  // Sums over each row of what add(class of the first lane, sums) adds for every pack.
  template <class A, class AddPack>
  __device__ void sum(A (&total)[COUNT], const AddPack& add) const {
#pragma unroll
    for (int r = 0; r < COUNT; r++) total[r] = 0;
    for_each([&](int64_t c) { add(c, total); });
    reduce(total, Add(), A(0));
  }

  // max(x) and sum(exp(x - max)) of each row in one reading: the sum so far is scaled when a larger entry turns up.
  __device__ void statistics(const T* x, acc_t<T> (&max)[COUNT], acc_t<T> (&sum)[COUNT]) const {
    using A = acc_t<T>;
    A own[COUNT];
#pragma unroll
    for (int r = 0; r < COUNT; r++) own[r] = -INFINITY, sum[r] = 0;
    for_each([&](int64_t c) {
      const Pack<T> pack = load(x, c);
      A next[COUNT];
#pragma unroll
      for (int r = 0; r < COUNT; r++) next[r] = own[r];
#pragma unroll
      for (int e = 0; e < LANES<T>; e++)
        if (e < count(c)) next[of(e)] = Max()(next[of(e)], pack.lane[e]);
#pragma unroll
      for (int r = 0; r < COUNT; r++) {
        sum[r] *= own[r] == next[r] ? A(1) : exp(own[r] - next[r]);
        own[r] = next[r];
      }
#pragma unroll
      for (int e = 0; e < LANES<T>; e++)  // -inf - -inf would be NaN
        if (e < count(c)) sum[of(e)] += own[of(e)] == -INFINITY ? A(0) : exp(pack.lane[e] - own[of(e)]);
    });
#pragma unroll
    for (int r = 0; r < COUNT; r++) max[r] = own[r];
    reduce(max, Max(), A(-INFINITY));
#pragma unroll
    for (int r = 0; r < COUNT; r++) sum[r] *= exp(own[r] - max[r]);  // NaN if the largest entry is infinite
    reduce(sum, Add(), A(0));
  }
};

// Short rows take smaller blocks.
template <class T>
Grid rows_grid(int64_t outer, int64_t classes, int64_t inner) {
  if (inner != 1)
    return {dim3(blocks_along_x(outer * ceil_div(inner, STRIP_WIDTH * LANES<T>))), dim3(STRIP_WIDTH, STRIP_HEIGHT)};
  int threads = 32;
  while (threads < ROW_THREADS && threads * LANES<T> < classes) threads *= 2;
  return {dim3(blocks_along_x(outer)), dim3(threads)};
}

// Whether packs of these tensors, of the same shape, may be read as 128 bits.
template <class T, class... Tensors>
bool rows_aligned(int64_t classes, int64_t inner, const T* x, const Tensors*... more) {
  return aligned(inner == 1 ? classes : inner, x, more...);
}

}  // namespace
}  // namespace scratchnet
