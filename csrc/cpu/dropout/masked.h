// The mask in registers, and the loop of the fast rungs: y = z x + residual for elements from one place to another.
#pragma once
#include "cpu/simd.h"
#include "ops/dropout.h"

namespace scratchnet {
namespace {

// As many numbers of 32 bits as a register has of A.
template <class A>
struct Places {
  typedef Simd<float>::U U;
};
template <>
struct Places<double> {
  typedef uint32_t U __attribute__((vector_size(SN_VECTOR_BYTES / 2)));
};

// z of lanes<A> elements of one row from j on.
template <class A>
struct Factors {
  using U = typename Places<A>::U;
  uint64_t key;
  uint32_t threshold;
  A scale;

  Factors(const Dropout& dropout, uint64_t key) : key(key), threshold(dropout.threshold), scale(A(dropout.scale)) {}

  SN_INLINE vec<A> at(int64_t j) const {
    U place;
    for (int64_t k = 0; k < lanes<A>; k++) place[k] = uint32_t(k);
    const auto kept = dropout_bits(key, place + (uint32_t)j) >= threshold;
    return __builtin_convertvector(kept, typename Simd<A>::I) ? splat(scale) : vec<A>{};
  }
};

// f(factors, begin, end) for the part of each row in [begin, end), places in the whole tensor.
template <class A, class F>
SN_INLINE void for_each_row(int64_t begin, int64_t end, const Dropout& dropout, int64_t seed, const F& f) {
  while (begin < end) {
    const int64_t row = begin >> DROPOUT_ROW_BITS, stop = min(end, (row + 1) << DROPOUT_ROW_BITS);
    f(Factors<A>(dropout, dropout_key(seed, row)), begin, stop);
    begin = stop;
  }
}

template <class T>
void masked(const T* x, const T* residual, T* y, int64_t begin, int64_t end, const Dropout& dropout, int64_t seed) {
  for_each_row<acc_t<T>>(begin, end, dropout, seed, [=](const auto z, int64_t from, int64_t to) {
    if (residual)
      map<T>(from, to,
             [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(y + i, z.at(i) * get(x + i) + get(residual + i)); });
    else map<T>(from, to, [=](int64_t i, auto get, auto put) SN_LAMBDA_INLINE { put(y + i, z.at(i) * get(x + i)); });
  });
}

}  // namespace
}  // namespace scratchnet
