// The twin of csrc/cuda/device.cuh: the same functions in plain C++. What the registers of a lane hold is documented there.
#pragma once
#include <cuda_runtime.h>

#include "cpu/convert.h"

#define SN_ASSERT(condition) \
  if (!(condition)) emulation::fail("device-side assertion `" #condition "` failed in " __FILE__ ":" + std::to_string(__LINE__))

namespace scratchnet {
namespace {

template <class T>
T* dynamic_shared() {
  return (T*)emulation::dynamic_shared;
}

inline void copy_async(void* shared, const void* global, int bytes = 16) {
  emulation::copy_later(shared, global, bytes, 16 - bytes);
}
inline void copy_async_close() { emulation::close_group(); }
template <int OPEN>
void copy_async_wait() {
  emulation::wait_for_groups(OPEN);
}

struct Matrices {
  uint32_t* r;
  const void* row;
};
// Element (i, j) of matrix m, from the rows that the lanes name.
inline uint32_t element(void** lanes, int m, int i, int j) { return ((const uint16_t*)((Matrices*)lanes[8 * m + i])->row)[j]; }

inline void load_matrices(uint32_t (&r)[4], const void* row) {
  Matrices own = {r, row};
  emulation::together("ldmatrix", 0xffffffff, &own, [](unsigned, void** lanes) {
    for (int l = 0; l < 32; l++)
      for (int m = 0; m < 4; m++)
        ((Matrices*)lanes[l])->r[m] = element(lanes, m, l / 4, 2 * (l % 4)) | element(lanes, m, l / 4, 2 * (l % 4) + 1) << 16;
  });
}
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  Matrices own = {r, row};
  emulation::together("ldmatrix.trans", 0xffffffff, &own, [](unsigned, void** lanes) {
    for (int l = 0; l < 32; l++)
      for (int m = 0; m < 4; m++)
        ((Matrices*)lanes[l])->r[m] = element(lanes, m, 2 * (l % 4), l / 4) | element(lanes, m, 2 * (l % 4) + 1, l / 4) << 16;
  });
}

struct Fragments {
  float* d;
  const uint32_t *a, *b;
};
inline Fragments& of(void** lanes, int l) { return *(Fragments*)lanes[l]; }

// d (16, 8) += a (16, K) b (K, 8), given functions that say where an element is.
template <int K, class A, class B>
void multiply(void** lanes, A a, B b) {
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 8; j++) {
      float& d = of(lanes, i % 8 * 4 + j / 2).d[i / 8 * 2 + j % 2];
      for (int k = 0; k < K; k++) d += a(i, k) * b(k, j);
    }
}

inline float half_of(uint32_t word, int which, bf16) { return to_float(bf16{uint16_t(word >> 16 * which)}); }
inline float half_of(uint32_t word, int which, f16) { return to_float(f16{uint16_t(word >> 16 * which)}); }

template <class T>
void multiply_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments own = {d, a, b};
  emulation::together("mma", 0xffffffff, &own, [](unsigned, void** lanes) {
    multiply<16>(
        lanes,
        [&](int i, int k) { return half_of(of(lanes, i % 8 * 4 + k % 8 / 2).a[i / 8 + k / 8 * 2], k % 2, T{}); },
        [&](int k, int j) { return half_of(of(lanes, j * 4 + k % 8 / 2).b[k / 8], k % 2, T{}); });
  });
}

inline uint32_t to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  return x - x == 0 ? (bits + 0x1000) & ~0x1fffu : bits;  // NaN and infinity stay
}
inline void multiply_16x8x8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Fragments own = {d, a, b};
  emulation::together("mma.tf32", 0xffffffff, &own, [](unsigned, void** lanes) {
    multiply<8>(
        lanes, [&](int i, int k) { return __uint_as_float(of(lanes, i % 8 * 4 + k % 4).a[i / 8 + k / 4 * 2]); },
        [&](int k, int j) { return __uint_as_float(of(lanes, j * 4 + k % 4).b[k / 4]); });
  });
}

}  // namespace
}  // namespace scratchnet
