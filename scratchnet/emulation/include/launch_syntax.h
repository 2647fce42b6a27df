// kernel<<<grid, block, shared>>>(...) as C++, and the calls of the runtime that a single file needs; -include'd before it.
#pragma once
#include <cuda_runtime.h>
#include <math.h>
#include <stdlib.h>

#include "../trace.h"

void sn_trace_refused(const cudaLaunchConfig_t& config);

namespace emulation {

template <class... Parameters>
struct Launcher {
  void (*kernel)(Parameters...);
  cudaLaunchConfig_t config;

  template <class... Arguments>
  void operator()(Arguments... arguments) const {
    if (sn_trace_failed()) return;  // as on a GPU: nothing runs after an error
    try {
      if (cudaLaunchKernelEx(&config, kernel, arguments...) != cudaSuccess) sn_trace_refused(config);
    } catch (const std::exception& error) {
      sn_trace_fault(error.what());
    }
  }
};

template <class... Parameters>
Launcher<Parameters...> on(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared = 0,
                           cudaStream_t stream = nullptr) {
  return {kernel, {grid, block, shared, stream}};
}

}  // namespace emulation

extern "C" void sn_trace_buffer(const char* name, void* from, int64_t items, int item, bool writable);

template <class T>
cudaError_t cudaMalloc(T** memory, size_t bytes) {
  *memory = (T*)malloc(bytes);
  memset(*memory, 0xff, bytes);  // NaN: nobody wrote it yet
  sn_trace_buffer("memory of cudaMalloc", *memory, bytes / sizeof(T), sizeof(T), true);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
