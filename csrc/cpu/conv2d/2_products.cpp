// Convolution, rung 2: what is a matrix product as it stands is one, in the last rung of matmul (products.h).
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "ops/matmul.h"
#include "products.h"

namespace scratchnet {
namespace {

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

void forward(const On& on, const Conv2dSizes& size, const void* x, const void* weight, const void* bias, void* y) {
  if (!y_is_product(on, size, bias)) return conv2d_kernels(1).forward(on, size, x, weight, bias, y);
  const Products of(size);
  const auto& product = matmul_kernels(matmul_rungs).product;
  if (!pointwise(size))
    return product(on, {size.batch, of.filters, of.terms}, of.rows(x, of.terms), of.weight(weight).transposed(),
                   {.y = y, .bias = bias});
  if (bias)
    SN_FLOATS(on.dtype,
              fill_bias(size.batch * of.groups * of.filters, of.groups * of.filters, of.positions, (const T*)bias, (T*)y));
  product(on, {of.filters, of.positions, of.terms, 2, of.count}, of.weight(weight), of.images(x),
          {.y = y, .accumulate = bias != nullptr});
}

void input_gradient(const On& on, const Conv2dSizes& size, const void* grad, const void* weight, void* dx) {
  const Products of(size);
  const auto& product = matmul_kernels(matmul_rungs).product;
  if (pointwise(size))
    product(on, {of.terms, of.positions, of.filters, 2, of.count}, of.weight(weight).transposed(), of.outputs(grad), {.y = dx});
  else product(on, {size.batch, of.terms, of.filters}, of.rows(grad, of.filters), of.weight(weight), {.y = dx});
}

void weight_gradient(const On& on, const Conv2dSizes& size, const void* grad, const void* x, void* dweight) {
  const Products of(size);
  const auto& product = matmul_kernels(matmul_rungs).product;
  const int64_t bytes = dtype_size(on.dtype);
  if (!pointwise(size))
    return product(on, {of.filters, of.terms, size.batch}, of.rows(grad, of.filters).transposed(), of.rows(x, of.terms),
                   {.y = dweight});
  for (int64_t n = 0; n < size.batch; n++)
    product(on, {of.filters, of.terms, of.positions, 1, of.count + 1},
            {(const char*)grad + n * of.of_y[0] * bytes, of.positions, 1, of.of_y + 1},
            {(const char*)x + n * of.of_x[0] * bytes, 1, of.positions, of.of_x + 1}, {.y = dweight, .accumulate = n > 0});
}

void backward(const On& on, const Conv2dSizes& size, const void* grad, const void* x, const void* weight, void* dx,
              void* dweight, void* dbias) {
  if (dx && dx_is_product(size)) input_gradient(on, size, grad, weight, dx), dx = nullptr;
  if (dweight && dweight_is_product(on, size)) weight_gradient(on, size, grad, x, dweight), dweight = nullptr;
  conv2d_kernels(1).backward(on, size, grad, x, weight, dx, dweight, dbias);
}

}  // namespace

SN_DEFINE_RUNG(Conv2dKernels, conv2d_2) = {forward, backward};

}  // namespace scratchnet
