// Starting a kernel, and what went wrong with it.
#pragma once
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "cuda/ladder.h"
#include "ops/numbers.h"

namespace scratchnet {
namespace {

inline void check(cudaError_t error, const char* name) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(name) + "(): the CUDA kernel cannot run: " + cudaGetErrorString(error));
}

struct Grid {
  dim3 blocks, threads;
  size_t dynamic_shared = 0;
};

// kernel<<<grid.blocks, grid.threads, grid.dynamic_shared, stream>>>(arguments...); an empty grid launches nothing.
template <class... Parameters, class... Arguments>
void launch(const Launch& on, const char* name, void (*kernel)(Parameters...), const Grid& grid, Arguments... arguments) {
  if (!grid.blocks.x || !grid.blocks.y || !grid.blocks.z) return;
  if (grid.dynamic_shared > 48 << 10)  // more than a kernel may have by default
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)grid.dynamic_shared), name);
  cudaLaunchConfig_t config = {};
  config.gridDim = grid.blocks, config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.dynamic_shared, config.stream = on.stream;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), name);
}

template <class T>
void zero(const Launch& on, const char* name, T* p, int64_t count) {
  if (count) check(cudaMemsetAsync(p, 0, count * sizeof(T), on.stream), name);
}

// p[i] = base[i], or zeros without a base.
template <class T>
void begin_with(const Launch& on, const char* name, const T* base, T* p, int64_t count) {
  if (!base) return zero(on, name, p, count);
  if (count) check(cudaMemcpyAsync(p, base, count * sizeof(T), cudaMemcpyDeviceToDevice, on.stream), name);
}

// The number of blocks along x, at most 2^31 - 1: dim3 would keep the lower 32 bits of a larger one and start too few.
inline unsigned blocks_along_x(int64_t count) {
  if (count > INT32_MAX)
    throw std::runtime_error("scratchnet: the CUDA kernel would need " + std::to_string(count) +
                             " blocks, and a grid has at most 2^31 - 1; call it on parts of the tensor");
  return (unsigned)count;
}

// One thread per element.
inline Grid elementwise(int64_t count, int threads) { return {dim3(blocks_along_x(ceil_div(count, threads))), dim3(threads)}; }

// Along x.
__device__ __forceinline__ int64_t thread_index() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }

}  // namespace
}  // namespace scratchnet
