// What the operator files share: the step from a tensor to what a kernel takes.
//
// The operators are templates over the tensor type: torch's (cpu_tensors.h, cuda_tensors.h) or NumPy's (arrays.h). Each has
// dim, size, sizes, stride, numel, is_contiguous, scalar_type, const_data_ptr and mutable_data_ptr, and those headers
// specialise the functions that are only declared here. Schemas live in scratchnet/ops/; here are only the implementations.
//
// Each operator file lists its operators as SN_<OP>_OPS(X), those for the CPU alone as SN_<OP>_HOST_OPS(X). setup.py joins the
// lists (operators.h) for the files that register them.
#pragma once
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ops/table.h"
#include "sizes.h"

namespace scratchnet {

// ---- What each kind of tensor defines -----------------------------------------------------------------------------------

template <class Tensor>
using dtype_t = decltype(std::declval<const Tensor&>().scalar_type());  // what its scalar_type() returns

template <class Tensor>
DType dtype_of(const Tensor&);
template <class Tensor>
std::string type_name(const Tensor&);
template <class Tensor>
bool is_float(const Tensor&);  // of an element type that kernels take
template <class Tensor>
bool is_index(const Tensor&);  // int64
template <class Tensor>
bool is_bool(const Tensor&);
template <class Tensor>
bool holds(const Tensor&, DType);
template <class Tensor>
bool has_dtype(const Tensor&, const dtype_t<Tensor>&);
template <class Tensor>
dtype_t<Tensor> statistics_dtype(const Tensor&);  // for saved statistics: float64 for float64, else float32
template <class Tensor>
dtype_t<Tensor> double_dtype();
template <class Tensor>
dtype_t<Tensor> index_dtype();

template <class Tensor>
Tensor fresh(const int64_t* sizes, int64_t dim, const dtype_t<Tensor>&);  // contiguous, its memory not initialised
template <class Tensor>
Tensor copy_in_order(const Tensor&);  // a contiguous copy
template <class Tensor>
Tensor converted(const Tensor&, const dtype_t<Tensor>&);
template <class Tensor>
void fill_zeros(const Tensor&);

template <class Tensor>
auto on(const Tensor&);  // the first argument of a kernel
template <class Tensor>
constexpr bool ON_HOST = true;  // whether operators may read what tensors hold

// ---- The same for all ---------------------------------------------------------------------------------------------------

template <class Tensor, class Dtype>
Tensor fresh(const std::vector<int64_t>& sizes, Dtype dtype) {
  return fresh<Tensor>(sizes.data(), sizes.size(), dtype);
}
template <class Tensor>
Tensor fresh_like(const Tensor& t) {
  return fresh<Tensor>(t.sizes().data(), t.dim(), t.scalar_type());
}

// Stands for a gradient that is not needed.
template <class Tensor>
Tensor none(const Tensor& like) {
  return fresh<Tensor>(std::vector<int64_t>{0}, like.scalar_type());
}

// The tensor itself if its elements lie in order, else a copy. Kernels that walk memory in order take their inputs through it.
template <class Tensor>
Tensor in_order(const Tensor& t) {
  return t.is_contiguous() ? t : copy_in_order(t);
}
template <class Tensor>
std::optional<Tensor> in_order(const std::optional<Tensor>& t) {
  return t ? std::optional<Tensor>(in_order(*t)) : std::nullopt;
}

template <class Tensor>
const void* data(const Tensor& t) {
  return t.const_data_ptr();
}
template <class Tensor>
const void* data(const std::optional<Tensor>& t) {
  return t ? t->const_data_ptr() : nullptr;
}
template <class Tensor>
void* out(const Tensor& t) {
  return t.mutable_data_ptr();
}

template <class Tensor>
std::vector<int64_t> sizes_of(const Tensor& t) {
  return {t.sizes().begin(), t.sizes().end()};
}
// Product of the sizes of dimensions [begin, end).
template <class Tensor>
int64_t numel_of(const Tensor& t, int64_t begin, int64_t end) {
  return product_of({t.sizes().data() + begin, end - begin});
}

// ---- Checks ------------------------------------------------------------------------------------------------------------
//
// Anyone can call an operator, and a kernel trusts its arguments. So the first lines of every operator state what it expects,
// before anything is allocated, read or written:
//
//     const Expect expect("bias_gelu_forward", "x", x, rung);             x is of floats, and the rung exists
//     expect.that(x.dim() > 0, "x must have an axis");
//     expect.shape("bias", bias, last_axes(x, 1));                        one float type for all, and this shape

extern const int64_t longest_ladder;  // ladders.cpp; an operator with fewer rungs answers with its last one

template <class Tensor>
Shape all_axes(const Tensor& t) {
  const auto sizes = t.sizes();
  return {sizes.data(), (int64_t)sizes.size()};
}
template <class Tensor>
Shape first_axes(const Tensor& t, int64_t count) {
  return {t.sizes().data(), count};
}
template <class Tensor>
Shape last_axes(const Tensor& t, int64_t count) {
  const Shape all = all_axes(t);
  return {all.sizes + all.dim - count, count};
}

inline std::string text(DType dtype) {
  constexpr const char* NAMES[] = {"float64", "float32", "bfloat16", "float16"};
  return NAMES[(int)dtype];
}
struct Expect {
  const char* op;
  DType dtype;  // of the first tensor, which the others share unless they say another one

  template <class Tensor>
  Expect(const char* op, const char* argument, const Tensor& x, int64_t rung) : op(op) {
    if (!is_float(x)) [[unlikely]]
      refuse(argument, x, "of a float type");
    if (rung < 1 || rung > longest_ladder) [[unlikely]]
      fail("there is no rung " + std::to_string(rung) + ": they are 1 to " + std::to_string(longest_ladder));
    dtype = dtype_of(x);
  }

  void that(bool condition, const char* problem) const {
    if (!condition) [[unlikely]]
      fail(problem);
  }

  template <class Tensor>
  void type(const char* argument, const Tensor& t) const {
    if (!holds(t, dtype)) [[unlikely]]
      refuse(argument, t, text(dtype));
  }
  template <class Tensor>
  void index(const char* argument, const Tensor& t) const {
    if (!is_index(t)) [[unlikely]]
      refuse(argument, t, "int64");
  }
  template <class Tensor>
  void shape(const char* argument, const Tensor& t, const Shape& wanted, std::optional<DType> type = {}) const {
    if (!holds(t, type.value_or(dtype)) || !(all_axes(t) == wanted)) [[unlikely]]
      refuse(argument, t, text(type.value_or(dtype)) + " of shape " + text(wanted));
  }
  template <class Tensor>
  void shape(const char* argument, const Tensor& t, std::initializer_list<int64_t> wanted,
             std::optional<DType> type = {}) const {
    shape(argument, t, Shape{wanted.begin(), (int64_t)wanted.size()}, type);
  }
  template <class Tensor>
  void shape(const char* argument, const std::optional<Tensor>& t, const Shape& wanted) const {
    if (t) shape(argument, *t, wanted);
  }
  // The shape of x, but n along dim.
  template <class Tensor>
  void shape(const char* argument, const Tensor& t, const Tensor& x, int64_t dim, int64_t n) const {
    const Shape got = all_axes(t), like = all_axes(x);
    bool same = holds(t, dtype) && got.dim == like.dim;
    for (int64_t i = 0; same && i < like.dim; i++) same = got.sizes[i] == (i == dim ? n : like.sizes[i]);
    if (same) [[likely]]
      return;
    std::vector<int64_t> wanted(like.sizes, like.sizes + like.dim);
    if (like.dim) wanted[dim] = n;  // a scalar has no axis
    refuse(argument, t, text(dtype) + " of shape " + text({wanted.data(), like.dim}));
  }
  template <class Tensor>
  void numel(const char* argument, const Tensor& t, int64_t wanted, DType type) const {
    if (!holds(t, type) || t.numel() != wanted) [[unlikely]]
      refuse(argument, t, text(type) + " with " + std::to_string(wanted) + " elements");
  }

  // An axis of t, counted from the front.
  template <class Tensor>
  int64_t axis(const Tensor& t, int64_t dim) const {
    const int64_t count = t.dim();
    if (dim < -count || dim >= count) [[unlikely]]
      fail("dim must be one of the " + std::to_string(count) + " axes, got " + std::to_string(dim));
    return dim < 0 ? dim + count : dim;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const { throw std::runtime_error(std::string(op) + "(): " + problem); }
  template <class Tensor>
  [[noreturn]] void refuse(const char* argument, const Tensor& t, const std::string& wanted) const {
    const std::string type = is_float(t) ? text(dtype_of(t)) : type_name(t);
    fail(argument + (" must be " + wanted) + ", got " + type + " of shape " + text(all_axes(t)));
  }
};

}  // namespace scratchnet
