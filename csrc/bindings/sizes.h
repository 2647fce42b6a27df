// Sizes of tensors: as text, and how many bytes they need, with checked arithmetic.
#pragma once
#include <stdint.h>

#include <stdexcept>
#include <string>

#include "ops/numbers.h"

namespace scratchnet {

// Sizes of some axes of a tensor, which must outlive it.
struct Shape {
  const int64_t* sizes;
  int64_t dim;

  bool operator==(const Shape& other) const {
    bool same = dim == other.dim;
    for (int64_t i = 0; same && i < dim; i++) same = sizes[i] == other.sizes[i];
    return same;
  }
  bool has_zero() const {
    bool zero = false;
    for (int64_t i = 0; i < dim; i++) zero |= sizes[i] == 0;
    return zero;
  }
};

inline std::string text(const Shape& shape) {
  std::string list;
  for (int64_t i = 0; i < shape.dim; i++) list += (i ? ", " : "") + std::to_string(shape.sizes[i]);
  return "(" + list + (shape.dim == 1 ? ",)" : ")");
}

// factor * the product of the sizes. Throws std::runtime_error, as torch does, for what passes 2^63, unless a size is 0.
inline int64_t product_of(const Shape& shape, int64_t factor = 1) {
  if (shape.has_zero()) return 0;
  for (int64_t i = 0; i < shape.dim; i++)
    if (shape.sizes[i] < 0 || !multiplied(factor, factor, shape.sizes[i])) [[unlikely]]
      throw std::runtime_error("scratchnet: a tensor of shape " + text(shape) +
                               " is too large: it would have more than 2^63 - 1 bytes; check the sizes");
  return factor;
}

}  // namespace scratchnet
