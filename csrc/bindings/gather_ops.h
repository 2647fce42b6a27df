// The operators of the primitive gather.
#pragma once
#include <string>

#include "ops.h"
#include "ops/gather.h"

#define SN_GATHER_OPS(X) X(gather_forward) X(gather_backward) X(embedding_forward) X(embedding_backward)

namespace scratchnet {

template <class Tensor>
const int64_t* entries(const Tensor& index) {
  return (const int64_t*)data(index);
}

inline std::vector<int64_t> row_major(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size());
  if (product_of({sizes.data(), (int64_t)sizes.size()}) == 0) return strides;  // of no elements: never used
  int64_t stride = 1;
  for (int64_t d = (int64_t)sizes.size() - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= sizes[d];
  }
  return strides;
}

// How the kernels see x (sizes, strides) and a contiguous index along dim: every dimension but dim is part of a line,
// neighbours that x and index step through alike are merged, and the last one behind dim, if any, is the columns.
template <class Tensor>
GatherShape shape_of(const Expect& expect, std::vector<int64_t> sizes, std::vector<int64_t> strides, int64_t dim,
                     const Tensor& index) {
  std::vector<int64_t> index_sizes(index.sizes().begin(), index.sizes().end());
  if (sizes.empty()) sizes = {1}, strides = {1};  // a scalar counts as one entry
  if (index_sizes.empty()) index_sizes = {1};
  const int64_t rank = sizes.size();
  dim = dim < 0 ? dim + rank : dim;
  expect.that(0 <= dim && dim < rank && rank <= 64, "dim must be one of x's axes, which may be 64");
  expect.that((int64_t)index_sizes.size() == rank, "index must have as many axes as x");
  const std::vector<int64_t> y_strides = row_major(index_sizes);

  GatherShape s = {};
  s.from = sizes[dim], s.to = index_sizes[dim], s.columns = s.x_column = s.lines = 1;
  s.x_row = strides[dim], s.y_row = y_strides[dim], s.covers = true;
  bool mergeable = false;  // the previous line dimension is on the same side of dim
  for (int64_t d = 0; d < rank; d++) {
    if (d == dim) {
      mergeable = false;
      continue;
    }
    expect.that(index_sizes[d] <= sizes[d], "index must not be larger than x apart from dim");
    s.covers = s.covers && index_sizes[d] == sizes[d];
    if (index_sizes[d] == 1) continue;
    const int64_t last = s.dims - 1;
    if (mergeable && s.x_strides[last] == strides[d] * index_sizes[d] && s.y_strides[last] == y_strides[d] * index_sizes[d]) {
      s.sizes[last] *= index_sizes[d];
    } else {
      s.dims++;
      s.sizes[last + 1] = index_sizes[d];
    }
    s.x_strides[s.dims - 1] = strides[d], s.y_strides[s.dims - 1] = y_strides[d];
    mergeable = true;
  }
  if (mergeable) {  // the last dimension is behind dim
    s.dims--;
    s.columns = s.sizes[s.dims], s.x_column = s.x_strides[s.dims];
  }
  for (int64_t d = 0; d < s.dims; d++) s.lines *= s.sizes[d];
  return s;
}

// Python gets an IndexError, from every column.
inline void check_range(bool inside, const char* function) {
  if (!inside) throw std::out_of_range(std::string(function) + "(): index out of range: it must be from 0 to size - 1");
}

template <class Tensor>
Tensor gathered(const char* name, const char* argument, Tensor x, Tensor index, int64_t dim, int64_t rung) {
  const Expect expect(name, argument, x, rung);
  expect.index("index", index);
  if (index.numel() == 0) return fresh<Tensor>(index.sizes().data(), index.dim(), x.scalar_type());
  std::vector<int64_t> strides(x.dim());
  for (int64_t d = 0; d < x.dim(); d++) strides[d] = x.stride(d);
  const auto shape = shape_of(expect, {x.sizes().begin(), x.sizes().end()}, strides, dim, index);
  index = in_order(index);
  Tensor y = fresh<Tensor>(index.sizes().data(), index.dim(), x.scalar_type());
  check_range(gather_kernels(rung).gather_forward(on(x), shape, data(x), entries(index), out(y)), "gather");
  return y;
}

template <class Tensor>
Tensor gather_forward(Tensor x, Tensor index, int64_t dim, int64_t rung) {
  return gathered("gather_forward", "x", x, index, dim, rung);
}

// src added where index points, in a tensor of these sizes that begins with `base` or zeros.
template <class Tensor>
Tensor added_up(const Expect& expect, const char* name, Tensor src, const std::vector<int64_t>& sizes, Tensor index,
                int64_t dim, std::optional<Tensor> base, int64_t rung) {
  const auto shape = shape_of(expect, sizes, row_major(sizes), dim, index);
  src = in_order(src), index = in_order(index), base = in_order(base);
  Tensor y = fresh<Tensor>(sizes, src.scalar_type());
  check_range(gather_kernels(rung).gather_backward(on(src), shape, data(src), entries(index), data(base), out(y), y.numel()),
              name);
  return y;
}

template <class Tensor>
Tensor gather_backward(Tensor grad, std::vector<int64_t> sizes, Tensor index, int64_t dim, int64_t rung) {
  const Expect expect("gather_backward", "grad", grad, rung);
  expect.index("index", index);
  expect.shape("grad", grad, all_axes(index));
  return added_up<Tensor>(expect, "gather", grad, sizes, index, dim, {}, rung);
}

template <class Tensor>
Tensor embedding_forward(Tensor weight, Tensor index, int64_t, bool, int64_t rung) {
  const Expect expect("embedding_forward", "weight", weight, rung);
  expect.index("index", index);
  expect.that(weight.dim() == 2, "weight must have two axes");
  index = in_order(index);
  const int64_t rows = weight.size(0), columns = weight.size(1);
  if (columns > 1 && weight.stride(1) != 1) weight = in_order(weight);
  std::vector<int64_t> sizes(index.sizes().begin(), index.sizes().end());
  sizes.push_back(columns);
  Tensor y = fresh<Tensor>(sizes, weight.scalar_type());
  check_range(gather_kernels(rung).embedding_forward(on(weight), data(weight), weight.stride(0), entries(index), out(y), rows,
                                                     columns, index.numel()),
              "embedding");
  return y;
}

template <class Tensor>
Tensor embedding_backward(Tensor grad, Tensor index, int64_t rows, int64_t padding, bool by_count, int64_t rung) {
  const Expect expect("embedding_backward", "grad", grad, rung);
  expect.index("index", index);
  expect.that(rows >= 0, "num_embeddings must not be negative");
  expect.that(grad.dim() == index.dim() + 1 && first_axes(grad, index.dim()) == all_axes(index),
              "grad must have the shape of index and one axis more");
  grad = in_order(grad), index = in_order(index);
  const int64_t columns = grad.size(grad.dim() - 1);
  Tensor dweight = fresh<Tensor>({rows, columns}, grad.scalar_type());
  check_range(gather_kernels(rung).embedding_backward(on(grad), data(grad), entries(index), nullptr, out(dweight), rows,
                                                      columns, index.numel(), padding, by_count),
              "embedding");
  return dweight;
}

}  // namespace scratchnet
