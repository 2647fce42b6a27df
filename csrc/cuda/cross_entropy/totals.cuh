// The sums of a call of cross_entropy over its rows, and its result.
#pragma once
#include "cuda/device.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/scalar.cuh"
#include "ops/cross_entropy.h"

namespace scratchnet {
namespace {

// The class of row i, or -1 with probabilities and where the row does not count.
__device__ __forceinline__ int64_t target_of(const Targets& to, int64_t i) {
  if (!to.index || to.index[i] == to.ignore_index) return -1;
  SN_ASSERT(0 <= to.index[i] && to.index[i] < to.classes);
  return to.index[i];
}

template <class T>
__device__ __forceinline__ acc_t<T> weight_of(const Targets& to, int64_t c) {
  return to.weight ? load1((const T*)to.weight + c) : acc_t<T>(1);
}

// What a row counts in the divisor of the mean.
template <class T>
__device__ __forceinline__ double weight_of_row(const Targets& to, int64_t target) {
  if (!to.index) return to.classes > 0;
  return target < 0 ? 0 : weight_of<T>(to, target);
}

constexpr int TOTAL_THREADS = 1024;

// One block adds up what the rows left, the same way every run: threads their rows, then a tree.
template <class T>
__global__ void __launch_bounds__(TOTAL_THREADS, 1)
    cross_entropy_total_kernel(Targets to, const double* losses, int64_t rows, Totals* totals) {
  double loss = 0, weight = 0;
  for (int64_t i = threadIdx.x; i < rows; i += TOTAL_THREADS) {
    loss += losses[i];
    weight += weight_of_row<T>(to, target_of(to, i));
  }
  loss = reduce_block(loss, Add(), 0.0), weight = reduce_block(weight, Add(), 0.0);
  if (threadIdx.x > 0) return;
  totals->loss.add(loss);
  totals->weight.add(weight);
}

template <class T>
void add_totals(const Launch& on, const Targets& to, const double* losses, Totals* totals) {
  const Grid one = {dim3(1), dim3(TOTAL_THREADS)};
  launch(on, "cross_entropy_total", cross_entropy_total_kernel<T>, one, to, losses, to.rows * to.positions, totals);
}

template <class T>
__global__ void __launch_bounds__(1)
    cross_entropy_reduce_kernel(const Totals* totals, bool mean, T* loss, acc_t<T>* total_weight) {
  if (loss) store1(loss, acc_t<T>(totals->value(mean)));
  *total_weight = totals->weight.total();
}

template <class T>
void cross_entropy_reduce(const Launch& on, const Totals* totals, bool mean, T* loss, acc_t<T>* total_weight) {
  const Grid one = {dim3(1), dim3(1)};
  launch(on, "cross_entropy_reduce", cross_entropy_reduce_kernel<T>, one, totals, mean, loss, total_weight);
}

}  // namespace
}  // namespace scratchnet
