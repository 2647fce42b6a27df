// The CUDA column's side of a primitive's table of functions: the twin of csrc/cpu/dispatch.h.
//
// Both columns fill the same tables: csrc/cpu/<primitive>/<primitive>.h declares them. That header includes "dispatch.h", and
// a CUDA file has csrc/cuda before csrc/cpu on its include path, so that it finds this one.
#pragma once
#include <stdint.h>

#include "types.h"

typedef struct CUstream_st* cudaStream_t;  // as the toolkit declares it; who only calls kernels needs no toolkit

namespace scratchnet {

// What a launcher gets before the pointers.
struct Launch {
  DType dtype;
  cudaStream_t stream;

  Launch(DType dtype, cudaStream_t stream) : dtype(dtype), stream(stream) {}
  Launch(const Launch&) = delete;
  virtual ~Launch() = default;

  // Whether products of float32 may be computed in TF32: torch.backends.cuda.matmul.fp32_precision.
  virtual bool tf32() const = 0;
  // Whether the same input must give the same bits: torch.use_deterministic_algorithms.
  virtual bool deterministic() const = 0;

  // Memory on the device, not initialised and aligned for any type, for the kernels of this call.
  template <class T>
  T* allocate(int64_t count) const {
    return (T*)allocate_bytes(count * sizeof(T));
  }

 private:
  virtual void* allocate_bytes(int64_t bytes) const = 0;
};
using On = const Launch&;

// Arguments of a table's function as a template over the element type takes them: a pointer becomes one to what is wanted.
struct Pointer {
  void* p;
  template <class T>
  operator T*() const {
    return (T*)p;
  }
};
struct ConstPointer {
  const void* p;
  template <class T>
  operator const T*() const {
    return (const T*)p;
  }
};
template <class A>
A typed(A argument) {
  return argument;
}
inline Pointer typed(void* p) { return {p}; }
inline ConstPointer typed(const void* p) { return {p}; }

}  // namespace scratchnet

// A table's function from a template over the element type, which has the same arguments:
// SN_DEFINE_RUNG(GeluKernels, gelu_1) = {SN_TYPED(forward), ...};
#define SN_TYPED(function)                                                         \
  [](On on, auto... arguments) {                                                   \
    SN_FLOATS(on.dtype, return function<T>(on, ::scratchnet::typed(arguments)...)) \
    __builtin_unreachable();                                                       \
  }

// Every primitive has two rungs here, however many the CPU column has.
#define SN_LADDER(Table, name, rungs_of_cpu)                                                             \
  extern const Table name##_1_cuda, name##_2_cuda;                                                       \
  constexpr int64_t name##_rungs = 2;                                                                    \
  namespace {                                                                                            \
  inline const Table& name##_kernels(int64_t rung) { return rung < 2 ? name##_1_cuda : name##_2_cuda; }  \
  }
#define SN_DEFINE_RUNG(Table, name) extern const Table name##_cuda
