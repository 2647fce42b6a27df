// What becomes of a sum of products, one at a time.
#pragma once
#include <type_traits>

#include "cpu/scalar.h"
#include "ops/activation_scalar.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

// A sum is a single long chain of additions, which loses digits: it is made in the next wider type.
template <class T>
using Sum = std::conditional_t<sizeof(T) == 8, long double, double>;

// What the sum for number `at` of y begins with.
template <class T>
acc_t<T> first(const Epilogue& to, int64_t at) {
  return to.accumulate ? load1((const T*)to.y + at) : 0;
}

// y = act(z), z = sum + bias of column j
template <class T>
void finish(acc_t<T> z, const Epilogue& to, int64_t at, int64_t j) {
  if (to.bias) z += load1((const T*)to.bias + j);
  if (to.z) store1((T*)to.z + at, z);
  store1((T*)to.y + at, activate(z, to.activation));
}

}  // namespace
}  // namespace scratchnet
