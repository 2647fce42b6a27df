// How a rung of the CUDA column fills its table: the twin of csrc/cpu/ladder.h.
#pragma once
#include "ops/table.h"

typedef struct CUstream_st* cudaStream_t;  // as the toolkit declares it; code that only calls kernels needs no toolkit

namespace scratchnet {

// The first argument of a launcher.
struct Launch : On {
  cudaStream_t stream;

  Launch(DType dtype, cudaStream_t stream) : On{dtype}, stream(stream) {}
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

}  // namespace scratchnet

// At the end of a rung's file: SN_DEFINE_RUNG(GeluKernels, gelu_1) = {SN_TYPED(forward), ...};
#define SN_DEFINE_RUNG(Table, name) extern const Table name##_cuda

// A table's function that this rung does not change, as a rung below has it: SN_FROM(gelu_kernels(1), forward)
#define SN_FROM(table, function) [](const On& on, auto... arguments) { return table.function(on, arguments...); }

// A table's function from a function template over the element type with the same arguments.
#define SN_TYPED(function)                                                                                     \
  [](const On& on, auto... arguments) {                                                                        \
    SN_FLOATS(on.dtype, return function<T>(static_cast<const Launch&>(on), ::scratchnet::typed(arguments)...)) \
    __builtin_unreachable();                                                                                   \
  }
