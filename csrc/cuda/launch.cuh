// Starting a kernel, and what went wrong with it.
#pragma once
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "dispatch.h"

namespace scratchnet {
namespace {

inline void check(cudaError_t error, const char* name) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(name) + "(): the CUDA kernel cannot run: " + cudaGetErrorString(error));
}

struct Shape {
  dim3 grid, block;
  size_t dynamic_shared = 0;
};

// kernel<<<shape.grid, shape.block, shape.dynamic_shared, stream>>>(arguments...); an empty grid launches nothing.
template <class... Parameters, class... Arguments>
void launch(On on, const char* name, void (*kernel)(Parameters...), const Shape& shape, Arguments... arguments) {
  if (!shape.grid.x || !shape.grid.y || !shape.grid.z) return;
  if (shape.dynamic_shared > 48 << 10)  // more than every kernel may have
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shape.dynamic_shared), name);
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid, config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.dynamic_shared, config.stream = on.stream;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), name);
}

template <class T>
void zero(On on, const char* name, T* p, int64_t count) {
  if (count) check(cudaMemsetAsync(p, 0, count * sizeof(T), on.stream), name);
}

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many blocks a grid has along x, where 2^31 - 1 fit: dim3 would keep the lower 32 bits of what is more, and start too few.
inline unsigned blocks_along_x(int64_t count) {
  if (count > INT32_MAX)
    throw std::runtime_error("scratchnet: the CUDA kernel would need " + std::to_string(count) +
                             " blocks, and a grid has at most 2^31 - 1; call it on parts of the tensor");
  return (unsigned)count;
}

// One thread an element.
inline Shape elementwise(int64_t count, int threads) {
  return {dim3(blocks_along_x(divide_up(count, threads))), dim3(threads)};
}

// Along x.
__device__ __forceinline__ int64_t thread_index() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }

}  // namespace
}  // namespace scratchnet
