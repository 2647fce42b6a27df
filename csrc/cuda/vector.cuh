// Neighbouring elements of one thread: 128 bits a load or store, the widest that every GPU has.
#pragma once
#include "scalar.cuh"

namespace scratchnet {
namespace {

template <class T>
constexpr int LANES = 16 / sizeof(T);

// In registers, in the type that is computed in.
template <class T>
struct Pack {
  acc_t<T> lane[LANES<T>];
};

template <class T>
struct alignas(16) Bits128 {
  T lane[LANES<T>];
};

// The pack at p, of which `count` elements exist; the others are 0. aligned: p is a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ Pack<T> load(const T* p, int64_t count, bool aligned) {
  Pack<T> pack;
  if (aligned && count >= LANES<T>) {
    const Bits128<T> bits = *(const Bits128<T>*)p;
#pragma unroll
    for (int i = 0; i < LANES<T>; i++) pack.lane[i] = load1(bits.lane + i);
  } else {
#pragma unroll
    for (int i = 0; i < LANES<T>; i++) pack.lane[i] = i < count ? load1(p + i) : acc_t<T>(0);
  }
  return pack;
}

template <class T>
__device__ __forceinline__ void store(T* p, const Pack<T>& pack, int64_t count, bool aligned) {
  if (aligned && count >= LANES<T>) {
    Bits128<T> bits;
#pragma unroll
    for (int i = 0; i < LANES<T>; i++) store1(bits.lane + i, pack.lane[i]);
    *(Bits128<T>*)p = bits;
  } else {
#pragma unroll
    for (int i = 0; i < LANES<T>; i++)
      if (i < count) store1(p + i, pack.lane[i]);
  }
}

// Whether `load` and `store` may take 128 bits from these, in rows of so many elements. Null is as good as aligned.
template <class T, class... More>
bool aligned(int64_t columns, const T* p, const More*... more) {
  return columns % LANES<T> == 0 && (uintptr_t)p % 16 == 0 && (... && ((uintptr_t)more % 16 == 0));
}

}  // namespace
}  // namespace scratchnet
