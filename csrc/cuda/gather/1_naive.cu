// gather, rung 1: one thread per element of the result.
//
//   forward   y[i][j] = x[index[i][j]][j]                                   a copy
//   backward  dx[k][j] = sum of grad[i][j] over the i with index[i][j] = k  every thread searches a column of the index
#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/gather.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 256;

template <class T>
__global__ void gather_forward_kernel(const __grid_constant__ GatherShape s, const T* x, const int64_t* index, T* y) {
  const int64_t n = thread_index();
  if (n >= s.elements()) return;
  const int64_t j = n % s.columns, i = n / s.columns % s.to, line = n / s.columns / s.to;
  const int64_t at = s.y_line(line) + i * s.y_row + j, k = index[at];
  SN_ASSERT(0 <= k && k < s.from);
  y[at] = x[s.x_line(line) + k * s.x_row + j * s.x_column];
}

template <class T>
bool gather_forward(const Launch& on, const GatherShape& s, const T* x, const int64_t* index, T* y) {
  launch(on, "gather_forward", gather_forward_kernel<T>, elementwise(s.elements(), THREADS), s, x, index, y);
  return true;
}

template <class T>
__global__ void gather_backward_kernel(const __grid_constant__ GatherShape s, const T* grad, const int64_t* index, T* dx,
                                       bool adds) {
  const int64_t n = thread_index();
  if (n >= s.lines * s.from * s.columns) return;
  const int64_t j = n % s.columns, k = n / s.columns % s.from, line = n / s.columns / s.from;
  T* const to = dx + s.x_line(line) + k * s.x_row + j * s.x_column;
  acc_t<T> sum = adds ? load1(to) : 0;
  for (int64_t i = 0; i < s.to; i++) {
    const int64_t at = s.y_line(line) + i * s.y_row + j;
    SN_ASSERT(0 <= index[at] && index[at] < s.from);
    if (index[at] == k) sum += load1(grad + at);
  }
  store1(to, sum);
}

template <class T>
bool gather_backward(const Launch& on, const GatherShape& s, const T* grad, const int64_t* index, const T* base, T* dx,
                     int64_t numel) {
  const char* name = "gather_backward";
  begin_with(on, name, base, dx, numel);  // the index may leave out some columns of x
  launch(on, name, gather_backward_kernel<T>, elementwise(s.lines * s.from * s.columns, THREADS), s, grad, index, dx, base);
  return true;
}

// ---- embedding ----------------------------------------------------------------------------------------------------------

template <class T>
__global__ void embedding_forward_kernel(const T* weight, int64_t stride, const int64_t* index, T* y, int64_t rows,
                                         int64_t columns, int64_t n) {
  const int64_t at = thread_index();
  if (at >= n * columns) return;
  const int64_t k = index[at / columns];
  SN_ASSERT(0 <= k && k < rows);
  y[at] = weight[k * stride + at % columns];
}

template <class T>
bool embedding_forward(const Launch& on, const T* weight, int64_t stride, const int64_t* index, T* y, int64_t rows,
                       int64_t columns, int64_t n) {
  const Grid grid = elementwise(n * columns, THREADS);
  launch(on, "embedding_forward", embedding_forward_kernel<T>, grid, weight, stride, index, y, rows, columns, n);
  return true;
}

template <class T>
__global__ void embedding_backward_kernel(const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows,
                                          int64_t columns, int64_t n, int64_t padding, bool by_count) {
  const int64_t at = thread_index(), k = at / columns, j = at % columns;
  if (k >= rows) return;
  acc_t<T> sum = base ? load1(base + at) : 0;
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    SN_ASSERT(0 <= index[i] && index[i] < rows);
    if (index[i] != k || k == padding) continue;
    sum += load1(grad + i * columns + j);
    count++;
  }
  store1(dweight + at, by_count && count ? sum / count : sum);
}

template <class T>
bool embedding_backward(const Launch& on, const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows,
                        int64_t columns, int64_t n, int64_t padding, bool by_count) {
  const Grid grid = elementwise(rows * columns, THREADS);
  launch(on, "embedding_backward", embedding_backward_kernel<T>, grid, grad, index, base, dweight, rows, columns, n, padding,
         by_count);
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_1) = {
    SN_TYPED(gather_forward),
    SN_TYPED(gather_backward),
    SN_TYPED(embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
