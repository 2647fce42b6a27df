// Rows of a tensor (outer, classes, inner), reduced over classes, 128 bits at a time, and reductions over them.
#pragma once
#include "cuda/cross_entropy/rows.cuh"
#include "cuda/reduce.cuh"
#include "cuda/vector.cuh"

namespace scratchnet {
namespace {

// A pack holds successive classes of a row that lies in order, or (STRIP) the same class of successive rows.
template <class T, bool STRIP>
struct Rows : Place<STRIP, LANES<T>> {
  using Here = Place<STRIP, LANES<T>>;
  using Here::classes, Here::left, Here::at, Here::for_each;
  using Here::COUNT;  // there is one number of each kind for each row of the thread

  bool wide;

  __device__ Rows(int64_t classes, int64_t inner, bool wide) : Here(classes, inner), wide(wide) {}

  __device__ static int of(int lane) { return STRIP ? lane : 0; }  // the row of a lane
  __device__ int64_t class_of(int64_t c, int lane) const { return STRIP ? c : c + lane; }
  __device__ int64_t count(int64_t c) const { return STRIP ? left : classes - c; }  // of lanes that exist

  // The thread's pack that begins with class c.
  __device__ Pack<T> load(const T* x, int64_t c) const { return scratchnet::load(x + at(c), count(c), wide); }
  __device__ void store(T* y, int64_t c, const Pack<T>& pack) const { scratchnet::store(y + at(c), pack, count(c), wide); }

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

// Whether packs of these tensors, of the same shape, may be read as 128 bits.
template <class T, class... Tensors>
bool rows_aligned(int64_t classes, int64_t inner, const T* x, const Tensors*... more) {
  return aligned(inner == 1 ? classes : inner, x, more...);
}

}  // namespace
}  // namespace scratchnet
