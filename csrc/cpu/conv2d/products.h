// Which convolutions are matrix products as they stand, without shifted images:
//
//   1x1 kernel, stride 1     y (F, pixels) = weight (F, C) x (C, pixels) for every image and group
//   kernel as the image      y (batch, F)  = x (batch, terms) weight^T (terms, F)
#pragma once
#include "ops/conv2d.h"

namespace scratchnet {
namespace {

constexpr int64_t FEW_FILTERS = 4;  // of a group: a register of the image serves so few better than the product does (rung 6)

inline bool at_both(const int64_t (&axes)[2], int64_t a, int64_t b) { return axes[0] == a && axes[1] == b; }

inline bool pointwise(const Conv2dSizes& size) {
  return at_both(size.kernel, 1, 1) && at_both(size.stride, 1, 1) && at_both(size.padding, 0, 0) &&
         size.channels > FEW_FILTERS && size.filters > FEW_FILTERS;
}

inline bool covers_image(const Conv2dSizes& size) {
  return at_both(size.kernel, size.in[0], size.in[1]) && at_both(size.padding, 0, 0) && size.groups == 1;
}

// The product adds to results only in the type that it computes in.
inline bool y_is_product(const On& on, const Conv2dSizes& size, const void* bias) {
  return pointwise(size) ? !bias || dtype_size(on.dtype) >= 4 : covers_image(size);
}

inline bool dx_is_product(const Conv2dSizes& size) { return pointwise(size) || covers_image(size); }

// Or a sum of products over the images, each of which has to be large enough to make up for adding to all of dweight.
inline bool dweight_is_product(const On& on, const Conv2dSizes& size) {
  if (!pointwise(size)) return covers_image(size);
  return dtype_size(on.dtype) >= 4 && size.in[0] * size.in[1] >= 256 && size.batch > 0;
}

}  // namespace
}  // namespace scratchnet
