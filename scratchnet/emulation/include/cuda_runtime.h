// CUDA C++ on a CPU: stands in for the toolkit's <cuda_runtime.h> when g++ compiles csrc/cuda/**/*.cu. See ../README.md.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <string>
#include <type_traits>

// ---- Keywords of the language--------------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))
// Blocks run one after another: one copy for all, in a separate section that is spoilt before each block.
#define __shared__ static __attribute__((section("sn_shared")))

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// As aligned as on a GPU: UBSan reports a vector access to an address that is not.
#define SN_VECTORS(T, name, align2, align4)                  \
  struct alignas(align2) name##2 { T x, y; };                \
  struct alignas(align4) name##4 { T x, y, z, w; };          \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SN_VECTORS(float, float, 8, 16)
SN_VECTORS(double, double, 16, 16)
SN_VECTORS(int, int, 8, 16)
SN_VECTORS(unsigned, uint, 8, 16)

// ---- The runtime that host code calls---------------------------------------------------------------------------------------

typedef struct CUstream_st* cudaStream_t;
enum cudaError_t { cudaSuccess, cudaErrorInvalidConfiguration, cudaErrorInvalidValue };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};

namespace emulation {

cudaError_t run(const cudaLaunchConfig_t& config, const void* kernel, const std::function<void()>& thread);
cudaError_t allow_dynamic_shared(const void* kernel, int bytes);

}  // namespace emulation

// Runs every block to its end. Throws std::runtime_error for what would hang a GPU or trip an assertion on it.
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  const auto thread = [&] { kernel(Parameters(arguments)...); };
  return emulation::run(*config, (const void*)kernel, std::ref(thread));  // no copy: all of it is on the host's stack
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int bytes) {
  return emulation::allow_dynamic_shared((const void*)kernel, bytes);
}
inline cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
  memset(memory, value, bytes);
  return cudaSuccess;
}
enum cudaMemcpyKind { cudaMemcpyDeviceToDevice };
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  memcpy(to, from, bytes);
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error);

// ---- What a thread sees --------------------------------------------------------------------------------------------------

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace emulation {

extern char* dynamic_shared;

int lane();                                                  // of the thread in its warp
int barrier(const char* file, int line, bool vote = false);  // whether some thread of the block votes true
[[noreturn]] void fail(const std::string& what);             // the thread stops, and so does the launch

// Every lane of the mask arrives here with its operand; the last one calls complete(operands of all 32 lanes) for all.
void together(const char* what, unsigned mask, void* operand, void (*complete)(unsigned mask, void** operands));

void syncwarp(unsigned mask);

// A copy by another engine: it happens at the wait for its group and not before.
void copy_later(void* shared, const void* global, int bytes, int zeros);
void close_group();
void wait_for_groups(int still_open);

}  // namespace emulation

constexpr int warpSize = 32;
#define __syncthreads() emulation::barrier(__FILE__, __LINE__)
#define __syncthreads_or(predicate) emulation::barrier(__FILE__, __LINE__, predicate)

inline void __syncwarp(unsigned mask = 0xffffffff) { emulation::syncwarp(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- Shuffles and votes --------------------------------------------------------------------------------------------------

namespace emulation {

// source: the lane whose value is read; where there is none, the caller's own.
template <class T>
T shuffle(const char* what, unsigned mask, T value, int source) {
  struct Operand {
    T value, result;
    int source;
  } own = {value, value, source};
  together(what, mask, &own, [](unsigned mask, void** lanes) {
    for (int i = 0; i < 32; i++)
      if (mask >> i & 1) {
        Operand& one = *(Operand*)lanes[i];
        if (!(mask >> one.source & 1)) fail("a shuffle reads lane " + std::to_string(one.source) + ", not in its mask");
        one.result = ((Operand*)lanes[one.source])->value;
      }
  });
  return own.result;
}

inline unsigned ballot(const char* what, unsigned mask, bool predicate) {
  struct Operand {
    bool predicate;
    unsigned votes;
  } own = {predicate, 0};
  together(what, mask, &own, [](unsigned mask, void** lanes) {
    unsigned votes = 0;
    for (int i = 0; i < 32; i++)
      if (mask >> i & 1 && ((Operand*)lanes[i])->predicate) votes |= 1u << i;
    for (int i = 0; i < 32; i++)
      if (mask >> i & 1) ((Operand*)lanes[i])->votes = votes;
  });
  return own.votes;
}

// The lanes are cut into segments of `width`; a shuffle stays within its own.
inline int in_segment(int source, int width) {
  const int first = lane() / width * width;
  return source >= first && source < first + width ? source : lane();
}

}  // namespace emulation

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return emulation::shuffle("__shfl_sync", mask, value, emulation::lane() / width * width + source % width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  return emulation::shuffle("__shfl_xor_sync", mask, value, emulation::in_segment(emulation::lane() ^ bits, width));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return emulation::shuffle("__shfl_down_sync", mask, value, emulation::in_segment(emulation::lane() + (int)delta, width));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return emulation::shuffle("__shfl_up_sync", mask, value, emulation::in_segment(emulation::lane() - (int)delta, width));
}
inline unsigned __ballot_sync(unsigned mask, int predicate) { return emulation::ballot("__ballot_sync", mask, predicate); }
inline int __any_sync(unsigned mask, int predicate) { return emulation::ballot("__any_sync", mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return emulation::ballot("__all_sync", mask, predicate) == mask; }

// ---- Atomics: one thread runs at a time --------------------------------------------------------------------------------

template <class T, class Change>
__attribute__((no_sanitize("thread"))) T atomic(T* at, Change change) {
  const T before = *at;
  *at = change(before);
  return before;
}
template <class T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return atomic(at, [&](T before) { return before + value; });
}
template <class T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return atomic(at, [&](T before) { return before < value ? value : before; });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return atomic(at, [&](T before) { return value < before ? value : before; });
}
template <class T>
T atomicExch(T* at, std::type_identity_t<T> value) {
  return atomic(at, [&](T) { return value; });
}
template <class T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return atomic(at, [&](T before) { return before == expected ? value : before; });
}

// ---- Functions that device code has and the C library lacks ----------------------------------------------------------------

inline float rsqrt(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrtf(float x) { return rsqrt(x); }
template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
void __stwb(T* at, T value) {
  *at = value;
}
template <class To, class From>
To same_bits(From from) {
  To to;
  static_assert(sizeof to == sizeof from);
  memcpy(&to, &from, sizeof to);
  return to;
}
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a < b ? b : a; }
