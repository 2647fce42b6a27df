// What CUDA C++ cannot say portably: inline PTX, dynamically sized shared memory, assertions.
//
// Kernels use these functions and write no PTX themselves: where there is no GPU, scratchnet/emulation has a
// cuda/device.cuh that stands in for this file, with a twin of each function in plain C++.
#pragma once
#include <assert.h>
#include <cuda_runtime.h>

#include "ops/types.h"

// Stops the launch, and all later work on the device, if the condition is false: for indices out of range.
#define SN_ASSERT(condition) assert(condition)

namespace scratchnet {
namespace {

// The dynamic shared memory of the launch.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char sn_dynamic_shared[];
  return reinterpret_cast<T*>(sn_dynamic_shared);
}

// ---- Copies from global to shared memory that run beside the computation -----------------------------------------------

// Copies 16 bytes; those after the first `bytes` become 0. Both addresses are multiples of 16.
__device__ __forceinline__ void copy_async(void* shared, const void* global, int bytes = 16) {
  const unsigned to = __cvta_generic_to_shared(shared);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}
// Copies since the last call form a group.
__device__ __forceinline__ void copy_async_close() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most `OPEN` of this thread's groups, the youngest, are still under way.
template <int OPEN>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(OPEN) : "memory");
}

// ---- Matrix units: a warp multiplies small tiles that lie spread over its lanes' registers ---------------------------------

// Four 8 x 8 matrices of 16-bit numbers from shared memory. Lane l says where a row starts: row l % 8 of matrix l / 8. Of each
// matrix, a lane gets row l / 4, columns 2 (l % 4) and one more, the first in the low half.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
  const unsigned from = __cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}
// The same of the transposed matrices: a lane gets column l / 4, rows 2 (l % 4) and one more.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  const unsigned from = __cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}

// d (16, 8) += a (16, 16) b (16, 8), of T = bf16 or f16. With g = lane / 4 and t = 2 (lane % 4), the lane's registers are
//   a[0] = a(g, t..t+1)   a[1] = a(g+8, t..t+1)   a[2] = a(g, t+8..t+9)   a[3] = a(g+8, t+8..t+9)
//   b[0] = b(t..t+1, g)   b[1] = b(t+8..t+9, g)
//   d[0..1] = d(g, t..t+1)   d[2..3] = d(g+8, t..t+1)
template <class T>
__device__ __forceinline__ void multiply_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void multiply_16x8x16<bf16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void multiply_16x8x16<f16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// A float rounded to the 10 bits of fraction that TF32 has, to nearest with ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}
// d (16, 8) += a (16, 8) b (8, 8) in TF32. With g = lane / 4 and t = lane % 4:
//   a[0] = a(g, t)   a[1] = a(g+8, t)   a[2] = a(g, t+4)   a[3] = a(g+8, t+4)   b[0] = b(t, g)   b[1] = b(t+4, g)   d as above
__device__ __forceinline__ void multiply_16x8x8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace
}  // namespace scratchnet
