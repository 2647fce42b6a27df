// What becomes of the sums of products, a register at a time.
#pragma once
#include "cpu/gelu/gate.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

template <class V>
SN_INLINE V activate(V z, Activation activation) {
  using A = __typeof__(z[0] + 0);
  switch (activation) {
    case Activation::none: return z;
    case Activation::relu: return z < 0 ? V{} : z;  // NaN stays NaN
    case Activation::gelu: return z * gate<false, A>(z).cdf;
    default: return z * gate<true, A>(z).cdf;
  }
}

// y = act(c + bias), z = c + bias for a tile that is still in cache; c may be y or z itself.
template <class T>
void finish(int64_t rows, int64_t columns, const acc_t<T>* c, int64_t c_row, const Epilogue& to, int64_t at, int64_t y_row,
            int64_t j0) {
  for (int64_t i = 0; i < rows; i++)
    map<T>(0, columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
      auto z = get(c + i * c_row + j);
      if (to.bias) z += get((const T*)to.bias + j0 + j);
      if (to.z) put((T*)to.z + at + i * y_row + j, z);
      put((T*)to.y + at + i * y_row + j, activate(z, to.activation));
    });
}

}  // namespace
}  // namespace scratchnet
