// NumPy arrays for the operators: no copy of an array that lies in order, and no torch tensor involved.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <bit>
#include <string>
#include <vector>

#include "ops.h"

namespace scratchnet {

struct Array : pybind11::array {
  using pybind11::array::array;

  struct Sizes {
    const int64_t* first;
    int64_t count;
    const int64_t* data() const { return first; }
    const int64_t* begin() const { return first; }
    const int64_t* end() const { return first + count; }
    int64_t size() const { return count; }
    int64_t operator[](int64_t i) const { return first[i]; }
  };
  Sizes sizes() const { return {reinterpret_cast<const int64_t*>(shape()), dim()}; }
  int64_t dim() const { return ndim(); }
  int64_t size(int64_t i) const { return shape(i < 0 ? i + dim() : i); }
  int64_t numel() const { return pybind11::array::size(); }
  // In elements, as torch counts them.
  Sizes strides() const {
    element_strides.resize(dim());
    for (int64_t i = 0; i < dim(); i++) {
      if (array::strides(i) % itemsize())
        throw std::runtime_error("scratchnet: a stride is not a multiple of the element size; copy the array");
      element_strides[i] = array::strides(i) / itemsize();
    }
    return {element_strides.data(), dim()};
  }
  int64_t stride(int64_t i) const { return strides()[i < 0 ? i + dim() : i]; }
  bool is_contiguous() const { return flags() & c_style; }
  bool is_aligned() const { return flags() & pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_; }
  pybind11::dtype scalar_type() const { return dtype(); }
  const void* const_data_ptr() const { return data(); }
  void* mutable_data_ptr() const { return const_cast<void*>(data()); }

 private:
  mutable std::vector<int64_t> element_strides;
};

// Of this kind and size, in this machine's byte order, and where the machine expects such numbers.
inline bool is(const Array& a, char kind, int64_t size) {
  constexpr char FOREIGN = std::endian::native == std::endian::little ? '>' : '<';
  const pybind11::dtype dtype = a.dtype();
  return dtype.kind() == kind && a.itemsize() == size && dtype.byteorder() != FOREIGN && a.is_aligned();
}
template <>
inline bool is_float(const Array& a) {
  return is(a, 'f', a.itemsize()) && a.itemsize() <= 8;
}
template <>
inline bool holds(const Array& a, DType dtype) {
  return is(a, 'f', dtype_size(dtype)) && dtype != DType::bf16;
}
template <>
inline bool is_index(const Array& a) {
  return is(a, 'i', 8);
}
template <>
inline bool is_bool(const Array& a) {
  return is(a, 'b', 1);
}
template <>
inline std::string type_name(const Array& a) {
  return (a.is_aligned() ? "" : "misaligned ") + std::string(pybind11::str(a.dtype()));
}
template <>
inline DType dtype_of(const Array& a) {
  if (!is_float(a)) throw std::runtime_error("scratchnet: expected a float64, float32 or float16 array, got " + type_name(a));
  return a.itemsize() == 8 ? DType::f64 : a.itemsize() == 4 ? DType::f32 : DType::f16;
}
template <>
inline auto on(const Array& a) {
  return On{dtype_of(a)};
}
template <>
inline pybind11::dtype statistics_dtype(const Array& a) {
  return dtype_of(a) == DType::f64 ? pybind11::dtype::of<double>() : pybind11::dtype::of<float>();
}

template <>
inline pybind11::dtype double_dtype<Array>() {
  return pybind11::dtype::of<double>();
}

template <>
inline pybind11::dtype index_dtype<Array>() {
  return pybind11::dtype::of<int64_t>();
}

template <>
inline Array fresh<Array>(const int64_t* sizes, int64_t dim, const pybind11::dtype& dtype) {
  return Array(dtype, std::vector<pybind11::ssize_t>(sizes, sizes + dim));
}
template <>
inline bool has_dtype(const Array& a, const pybind11::dtype& dtype) {
  return a.dtype().equal(dtype);
}
template <>
inline Array converted(const Array& a, const pybind11::dtype& dtype) {
  return a.attr("astype")(dtype);
}
template <>
inline void fill_zeros(const Array& a) {
  memset(a.mutable_data_ptr(), 0, a.nbytes());
}
template <>
inline Array copy_in_order(const Array& a) {
  return Array::ensure(a, pybind11::array::c_style);
}

}  // namespace scratchnet
