// Element types of the kernels, and what each computes in. No torch, no std.
#pragma once
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define SN_ANYWHERE __host__ __device__  // a function for both
#else
#define SN_ANYWHERE
#endif

namespace scratchnet {

enum class DType : int { f64, f32, bf16, f16 };

// 16-bit floats are storage only: loaded into float, computed there, rounded once when stored.
struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

// What T is computed and accumulated in, and what its saved statistics are stored in.
template <class T>
struct Accumulate {
  using type = float;
};
template <>
struct Accumulate<double> {
  using type = double;
};
template <class T>
using acc_t = typename Accumulate<T>::type;

inline int64_t dtype_size(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

}  // namespace scratchnet

// Runs the statement with T set to the element type: SN_FLOATS(dtype, forward((const T*)x, (T*)y, n));
#define SN_FLOATS(dtype, ...)         \
  switch (dtype) {                    \
    case ::scratchnet::DType::f64: {  \
      using T = double;               \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
    case ::scratchnet::DType::f32: {  \
      using T = float;                \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
    case ::scratchnet::DType::bf16: { \
      using T = ::scratchnet::bf16;   \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
    case ::scratchnet::DType::f16: {  \
      using T = ::scratchnet::f16;    \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
  }
