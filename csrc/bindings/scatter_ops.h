// The operators of the transposes of gather: scatter_add, index_add.
#pragma once
#include "gather_ops.h"

#define SN_SCATTER_OPS(X) X(scatter_add_forward) X(scatter_add_backward) X(index_add_forward) X(index_add_backward)

namespace scratchnet {

// The transpose of gather: its backward, with x to begin with; and the backward of that is gather.
template <class Tensor>
Tensor scatter_add_forward(Tensor x, Tensor src, Tensor index, int64_t dim, int64_t rung) {
  const Expect expect("scatter_add_forward", "x", x, rung);
  expect.index("index", index);
  expect.shape("src", src, all_axes(index));
  return added_up<Tensor>(expect, "scatter_add", src, {x.sizes().begin(), x.sizes().end()}, index, dim, x, rung);
}

template <class Tensor>
Tensor scatter_add_backward(Tensor grad, Tensor index, int64_t dim, int64_t rung) {
  return gathered("scatter_add_backward", "grad", grad, index, dim, rung);
}

// Row i of src (n, ...) added to row index[i] of x (rows, ...): the backward of an embedding, with x to begin with.
template <class Tensor>
Tensor index_add_forward(Tensor x, Tensor src, Tensor index, int64_t rung) {
  const Expect expect("index_add_forward", "x", x, rung);
  expect.index("index", index);
  expect.that(x.dim() > 0 && index.dim() == 1, "x must have an axis, and index must have one");
  expect.shape("src", src, x, 0, index.numel());
  x = in_order(x), src = in_order(src), index = in_order(index);
  Tensor y = fresh_like(x);
  check_range(gather_kernels(rung).embedding_backward(on(x), data(src), entries(index), data(x), out(y), x.size(0),
                                                      numel_of(x, 1, x.dim()), index.numel(), -1, false),
              "index_add");
  return y;
}

template <class Tensor>
Tensor index_add_backward(Tensor grad, Tensor index, int64_t rung) {
  const Expect expect("index_add_backward", "grad", grad, rung);
  expect.index("index", index);
  expect.that(grad.dim() > 0 && index.dim() == 1, "grad must have an axis, and index must have one");
  grad = in_order(grad), index = in_order(index);
  std::vector<int64_t> sizes(grad.sizes().begin(), grad.sizes().end());
  sizes[0] = index.numel();
  Tensor dsrc = fresh<Tensor>(sizes, grad.scalar_type());
  const int64_t columns = numel_of(grad, 1, grad.dim());
  check_range(gather_kernels(rung).embedding_forward(on(grad), data(grad), columns, entries(index), out(dsrc), grad.size(0),
                                                     columns, index.numel()),
              "index_add");
  return dsrc;
}

}  // namespace scratchnet
