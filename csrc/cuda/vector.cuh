// Neighbouring elements of one thread: 128 bits per load or store, the widest that every GPU has.
#pragma once
#include <type_traits>

#include "cuda/scalar.cuh"

namespace scratchnet {
namespace {

template <class T>
constexpr int LANES = 16 / sizeof(T);

// In registers, in the type that is computed in.
template <class T, int N = LANES<T>>
struct Pack {
  acc_t<T> lane[N];
};

// As they lie in memory, 128 bits or one element: a single load or store.
template <class T, int N = LANES<T>>
struct Bits {
  std::conditional_t<N == 1, T, uint4> word;
};

template <class T, int N>
__device__ __forceinline__ Pack<T, N> unpack(Bits<T, N> bits) {
  T lane[N];
  memcpy(lane, &bits.word, sizeof lane);
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; i++) pack.lane[i] = load1(lane + i);
  return pack;
}
template <class T, int N>
__device__ __forceinline__ Bits<T, N> rounded(const Pack<T, N>& pack) {
  T lane[N];
#pragma unroll
  for (int i = 0; i < N; i++) store1(lane + i, pack.lane[i]);
  Bits<T, N> bits;
  memcpy(&bits.word, lane, sizeof lane);
  return bits;
}

// The pack at p: `count` elements exist, the others become 0. aligned: p is a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ Pack<T> load(const T* p, int64_t count, bool aligned) {
  if (aligned && count >= LANES<T>) return unpack(*(const Bits<T>*)p);
  Pack<T> pack;
#pragma unroll
  for (int i = 0; i < LANES<T>; i++) pack.lane[i] = i < count ? load1(p + i) : acc_t<T>(0);
  return pack;
}

template <class T>
__device__ __forceinline__ void store(T* p, const Pack<T>& pack, int64_t count, bool aligned) {
  if (aligned && count >= LANES<T>) {
    __stwb((uint4*)p, rounded(pack).word);  // nvcc takes an assignment apart to share its pieces with the other branch
  } else {
#pragma unroll
    for (int i = 0; i < LANES<T>; i++)
      if (i < count) store1(p + i, pack.lane[i]);
  }
}

// The same without a conversion: bits stay as they are.
template <class T>
__device__ __forceinline__ void copy(T* to, const T* from, int64_t count, bool aligned) {
  if (aligned && count >= LANES<T>) {
    *(Bits<T>*)to = *(const Bits<T>*)from;
  } else {
#pragma unroll
    for (int i = 0; i < LANES<T>; i++)
      if (i < count) to[i] = from[i];
  }
}

// Whether `load` and `store` may take 128 bits from these, in rows of this length. Null counts as aligned.
template <class T, class... More>
bool aligned(int64_t columns, const T* p, const More*... more) {
  return columns % LANES<T> == 0 && (uintptr_t)p % 16 == 0 && (... && ((uintptr_t)more % 16 == 0));
}

}  // namespace
}  // namespace scratchnet
