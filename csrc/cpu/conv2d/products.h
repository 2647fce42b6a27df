// Convolutions that are matrix products as they stand, without shifted images:
//
//   1x1 kernel, stride 1     y (F, pixels) = weight (F, C) x (C, pixels) for every image and group
//   kernel as the image      y (batch, F)  = x (batch, terms) weight^T (terms, F)
#pragma once
#include "cpu/parallel.h"
#include "cpu/scalar.h"
#include "few_filters.h"
#include "ops/conv2d.h"
#include "ops/matmul.h"

namespace scratchnet {
namespace {

inline bool at_both(const int64_t (&axes)[2], int64_t a, int64_t b) { return axes[0] == a && axes[1] == b; }

// A register of the image serves few filters better; small sums are added up image by image.
inline bool pointwise(const Conv2dSizes& size) {
  return at_both(size.kernel, 1, 1) && at_both(size.stride, 1, 1) && at_both(size.padding, 0, 0) &&
         size.channels > FEW_FILTERS && size.filters > FEW_FILTERS;
}

inline bool covers_image(const Conv2dSizes& size) {
  return at_both(size.kernel, size.in[0], size.in[1]) && at_both(size.padding, 0, 0) && size.groups == 1;
}

// The operands of both kinds. Batch axes: (batch, groups) for a 1x1 kernel, none for one that covers the image.
struct Products {
  int64_t groups, filters, terms, positions, count[2], of_x[2], of_y[2], of_weight[2];

  explicit Products(const Conv2dSizes& size)
      : groups(size.groups),
        filters(size.filters),
        terms(size.channels * size.kernel[0] * size.kernel[1]),
        positions(pointwise(size) ? size.in[0] * size.in[1] : size.batch),
        count{size.batch, groups},
        of_x{groups * terms * positions, terms * positions},
        of_y{groups * filters * positions, filters * positions},
        of_weight{0, filters * terms} {}
  Matrix weight(const void* data) const { return {data, terms, 1, of_weight}; }             // (filters, terms)
  Matrix images(const void* x) const { return {x, positions, 1, of_x}; }                    // (terms, positions)
  Matrix outputs(const void* y) const { return {y, positions, 1, of_y}; }                   // (filters, positions)
  Matrix rows(const void* data, int64_t width) const { return {data, width, 1, nullptr}; }  // (batch, width)
};

// y = bias, whose filters have `pixels` results each.
template <class T>
void fill_bias(int64_t planes, int64_t filters, int64_t pixels, const T* bias, T* y) {
  parallel_for(0, planes, 1 + GRAIN / (pixels + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t k = 0; k < pixels; k++) y[i * pixels + k] = bias[i % filters];
  });
}

// The forward pass, if it is a product.
inline bool product_forward(const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias,
                            void* y) {
  const Products of(size);
  const auto& product = matmul_kernels(matmul_rungs).product;
  if (pointwise(size)) {
    if (bias && dtype_size(on.dtype) < 4) return false;  // the product adds to results only in the type that it computes in
    if (bias)
      SN_FLOATS(on.dtype,
                fill_bias(size.batch * of.groups * of.filters, of.groups * of.filters, of.positions, (const T*)bias, (T*)y));
    product(on, {of.filters, of.positions, of.terms, 2, of.count}, of.weight(weight), of.images(x),
            {.y = y, .accumulate = bias != nullptr});
    return true;
  }
  if (!covers_image(size)) return false;
  product(on, {size.batch, of.filters, of.terms}, of.rows(x, of.terms), of.weight(weight).transposed(), {.y = y, .bias = bias});
  return true;
}

// dx, if it is a product.
inline bool product_dx(const On& on, const Conv2dSizes& size, const void* grad, const void* weight, void* dx) {
  const Products of(size);
  const auto& product = matmul_kernels(matmul_rungs).product;
  if (pointwise(size))
    product(on, {of.terms, of.positions, of.filters, 2, of.count}, of.weight(weight).transposed(), of.outputs(grad), {.y = dx});
  else if (covers_image(size))
    product(on, {size.batch, of.terms, of.filters}, of.rows(grad, of.filters), of.weight(weight), {.y = dx});
  else return false;
  return true;
}

// dweight, if it is a product, or a sum of products over the images.
inline bool product_dweight(const On& on, const Conv2dSizes& size, const void* grad, const void* x, void* dweight) {
  constexpr int64_t POSITIONS = 256;  // that make up for adding to all of dweight
  const Products of(size);
  const auto& product = matmul_kernels(matmul_rungs).product;
  const int64_t bytes = dtype_size(on.dtype);
  if (pointwise(size) && bytes >= 4 && of.positions >= POSITIONS && size.batch > 0) {
    for (int64_t n = 0; n < size.batch; n++)
      product(on, {of.filters, of.terms, of.positions, 1, of.count + 1},
              {(const char*)grad + n * of.of_y[0] * bytes, of.positions, 1, of.of_y + 1},
              {(const char*)x + n * of.of_x[0] * bytes, 1, of.positions, of.of_x + 1}, {.y = dweight, .accumulate = n > 0});
    return true;
  }
  if (pointwise(size) || !covers_image(size)) return false;
  product(on, {of.filters, of.terms, size.batch}, of.rows(grad, of.filters).transposed(), of.rows(x, of.terms), {.y = dweight});
  return true;
}

}  // namespace
}  // namespace scratchnet
