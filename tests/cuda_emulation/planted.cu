// Kernels with one mistake each, and the same without it: `planted <kernel> <0 or 1: with the mistake> <seed>` runs one and
// prints "right" or "wrong", unless the emulation stops it first.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cuda/device.cuh"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/vector.cuh"

extern "C" void sn_emulation_seed(uint64_t seed);

namespace scratchnet {
namespace {

constexpr int THREADS = 128, N = 1000;

struct HostLaunch final : Launch {
  HostLaunch() : Launch(DType::f32, nullptr) {}
  bool tf32() const override { return false; }
  bool deterministic() const override { return false; }
  void* allocate_bytes(int64_t) const override { return nullptr; }
};

template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), Grid grid, Arguments... arguments) {
  launch(HostLaunch(), "planted", kernel, grid, arguments...);
}

// y = 2 x. The mistake: threads past the last element go on.
__global__ void double_kernel(const float* x, float* y, int n, bool mistake) {
  const int i = thread_index();
  if (i >= n && !mistake) return;
  y[i] = 2 * x[i];
}

// Each block reverses its part of x. The mistake: one element of shared memory too few.
template <int SIZE>
__global__ void reverse_kernel(const float* x, float* y) {
  __shared__ float memory[SIZE];
  float* volatile part = memory;  // hidden from the compiler, which would see the mistake
  part[threadIdx.x] = x[thread_index()];
  __syncthreads();
  y[thread_index()] = part[THREADS - 1 - threadIdx.x];
}

// The same in memory whose size is given at launch: the mistake is in the launch.
__global__ void reverse_dynamic_kernel(const float* x, float* y) {
  float* part = dynamic_shared<float>();
  part[threadIdx.x] = x[thread_index()];
  __syncthreads();
  y[thread_index()] = part[THREADS - 1 - threadIdx.x];
}

// The same. The mistake: no thread waits until all have written.
__global__ void read_early_kernel(const float* x, float* y, bool mistake) {
  __shared__ float part[THREADS];
  part[threadIdx.x] = x[thread_index()];
  if (!mistake) __syncthreads();
  y[thread_index()] = part[THREADS - 1 - threadIdx.x];
}

// Three parts in turn through the same memory. The mistake: no thread waits until all have read.
__global__ void write_early_kernel(const float* x, float* y, bool mistake) {
  __shared__ float part[THREADS];
  for (int turn = 0; turn < 3; turn++) {
    part[threadIdx.x] = x[turn * THREADS + threadIdx.x];
    __syncthreads();
    y[turn * THREADS + threadIdx.x] = part[THREADS - 1 - threadIdx.x];
    if (!mistake) __syncthreads();
  }
}

// The sum within each warp through shared memory. The mistake: no __syncwarp between the steps.
__global__ void warp_sum_kernel(const float* x, float* y, bool mistake) {
  __shared__ float part[THREADS];
  const int lane = threadIdx.x % 32;
  part[threadIdx.x] = x[threadIdx.x];
  for (int step = 16; step; step /= 2) {
    if (!mistake) __syncwarp();
    if (lane < step) part[threadIdx.x] += part[threadIdx.x + step];
  }
  if (lane == 0) y[threadIdx.x / 32] = part[threadIdx.x];
}

// The largest of x, which are all negative, over a block of three warps. The mistake: the fourth number is never written.
__global__ void maximum_kernel(const float* x, float* y, bool mistake) {
  __shared__ float of_warp[4];
  const float most = reduce_warp(x[threadIdx.x], Max());
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = most;
  __syncthreads();
  if (threadIdx.x == 0) {
    float all = of_warp[0];
    for (int i = 1; i < (mistake ? 4 : 3); i++) all = fmaxf(all, of_warp[i]);
    *y = all;
  }
}

// The mistake: a barrier that only some threads of the block reach.
__global__ void divergent_kernel(float* y, bool mistake) {
  if (!mistake || threadIdx.x < 50) __syncthreads();
  y[threadIdx.x] = 1;
}

// The mistake: two branches wait at different barriers.
__global__ void two_barriers_kernel(float* y, bool mistake) {
  if (mistake && threadIdx.x < 64)
    __syncthreads();
  else
    __syncthreads();
  y[threadIdx.x] = 1;
}

// The mistake: half a warp shuffles as if the other half did.
__global__ void shuffle_kernel(float* y, bool mistake) {
  float sum = 1;
  if (threadIdx.x % 32 < 16)
    for (int step = 8; step; step /= 2) sum += __shfl_xor_sync(mistake ? ALL_LANES : 0xffff, sum, step);
  y[threadIdx.x] = threadIdx.x % 32 < 16 ? sum : 16;
}

// Copies during the computation. The mistake: it does not wait for them.
__global__ void copy_kernel(const float* x, float* y, bool mistake) {
  __shared__ __align__(16) float part[2][4 * THREADS];
  for (int stage = 0; stage < 2; stage++) {
    copy_async(part[stage] + 4 * threadIdx.x, x + 4 * (stage * THREADS + threadIdx.x));
    copy_async_close();
  }
  copy_async_wait<1>();
  for (int i = 0; i < 4; i++) y[4 * threadIdx.x + i] = part[0][4 * threadIdx.x + i];
  if (!mistake) copy_async_wait<0>();
  for (int i = 0; i < 4; i++) y[4 * (THREADS + threadIdx.x) + i] = part[1][4 * threadIdx.x + i];
}

// The mistake: 128 bits from an address that is not a multiple of 16 bytes.
__global__ void vector_kernel(const float* x, float* y, bool mistake) {
  const int i = 4 * threadIdx.x + 1;
  store(y + i, load(x + i, 4, mistake), 4, false);
}

// y = a a of one 16 x 16 matrix on the matrix units. The mistake: the second factor's registers are loaded as the first one's.
__global__ void product_kernel(const float* x, float* y, bool mistake) {
  __shared__ __align__(16) bf16 a[16][16];
  const int lane = threadIdx.x, row = lane / 4, column = lane % 4 * 2;
  for (int i = lane; i < 256; i += 32) store1(a[i / 16] + i % 16, x[i]);
  __syncwarp();
  uint32_t left[4], right[4];
  const bf16* from = a[lane % 16] + lane / 16 * 8;  // the rows of the four quarters, column by column of quarters
  load_matrices(left, from);
  if (mistake)
    load_matrices(right, from);
  else
    load_matrices_transposed(right, from);
  for (int half = 0; half < 2; half++) {
    const uint32_t b[2] = {right[2 * half], right[2 * half + 1]};
    float d[4] = {};
    multiply_16x8x16<bf16>(d, left, b);
    for (int i = 0; i < 4; i++) y[(row + i / 2 * 8) * 16 + half * 8 + column + i % 2] = d[i];
  }
}

// The mistake: an index that an assertion rejects.
__global__ void assert_kernel(const float* x, float* y, bool mistake) {
  const int i = mistake ? threadIdx.x * 10 : threadIdx.x;
  SN_ASSERT(i < N);
  y[threadIdx.x] = x[i];
}

bool is_right(const std::string& name, bool mistake) {
  std::vector<float> x(N), y(N, -1), expected(N, -1);
  for (int i = 0; i < N; i++) x[i] = -1 - i;
  const float* in = x.data();
  float* out = y.data();
  const auto reversed = [&](int parts) {
    for (int i = 0; i < parts * THREADS; i++) expected[i] = x[i / THREADS * THREADS + THREADS - 1 - i % THREADS];
  };
  const auto filled = [&](int from, int to, auto value) {
    for (int i = from; i < to; i++) expected[i] = value(i);
  };
  const Grid one = {dim3(1), dim3(THREADS)}, four = {dim3(4), dim3(THREADS)};
  if (name == "double") {
    filled(0, N, [&](int i) { return 2 * x[i]; });
    run(double_kernel, elementwise(N, THREADS), in, out, N, mistake);
  }
  if (name == "reverse") reversed(4), run(mistake ? reverse_kernel<THREADS - 1> : reverse_kernel<THREADS>, four, in, out);
  if (name == "reverse_dynamic") {
    const size_t bytes = (THREADS - mistake) * sizeof(float);
    reversed(4), run(reverse_dynamic_kernel, {four.blocks, four.threads, bytes}, in, out);
  }
  if (name == "read_early") reversed(4), run(read_early_kernel, four, in, out, mistake);
  if (name == "write_early") reversed(3), run(write_early_kernel, one, in, out, mistake);
  if (name == "warp_sum") {
    filled(0, 4, [&](int i) { return 16 * (x[32 * i] + x[32 * i + 31]); });
    run(warp_sum_kernel, one, in, out, mistake);
  }
  if (name == "maximum") expected[0] = -1, run(maximum_kernel, {dim3(1), dim3(96)}, in, out, mistake);
  if (name == "divergent") filled(0, THREADS, [](int) { return 1; }), run(divergent_kernel, one, out, mistake);
  if (name == "two_barriers") filled(0, THREADS, [](int) { return 1; }), run(two_barriers_kernel, one, out, mistake);
  if (name == "shuffle") filled(0, THREADS, [](int) { return 16; }), run(shuffle_kernel, one, out, mistake);
  if (name == "copy") x.resize(8 * THREADS), y = expected = x, run(copy_kernel, one, x.data(), y.data(), mistake);
  if (name == "product") {
    for (int i = 0; i < 256; i++) x[i] = i * i % 13 - i % 5;
    filled(0, 256, [&](int i) {
      float sum = 0;
      for (int k = 0; k < 16; k++) sum += x[i / 16 * 16 + k] * x[k * 16 + i % 16];
      return sum;
    });
    run(product_kernel, {dim3(1), dim3(32)}, in, out, mistake);
  }
  if (name == "vector") filled(1, 4 * THREADS + 1, [&](int i) { return x[i]; }), run(vector_kernel, one, in, out, mistake);
  if (name == "assert") filled(0, THREADS, [&](int i) { return x[i]; }), run(assert_kernel, one, in, out, mistake);
  if (name == "threads") {
    filled(0, 32, [](int) { return 1; });
    run(divergent_kernel, {dim3(1), dim3(mistake ? 1025 : 32)}, out, false);
  }
  return y == expected;  // NaN is equal to nothing
}

}  // namespace
}  // namespace scratchnet

int main(int, char** arguments) {
  sn_emulation_seed(atoi(arguments[3]));
  try {
    puts(scratchnet::is_right(arguments[1], atoi(arguments[2])) ? "right" : "wrong");
  } catch (const std::exception& error) {
    puts(error.what());
  }
}
