// NumPy arrays for the operators: no copy of an array that lies in order, and no torch tensor involved.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <vector>

#include "types.h"

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
      if (array::strides(i) % itemsize()) throw std::runtime_error("scratchnet: a stride is no whole number of elements; copy the array");
      element_strides[i] = array::strides(i) / itemsize();
    }
    return {element_strides.data(), dim()};
  }
  int64_t stride(int64_t i) const { return strides()[i < 0 ? i + dim() : i]; }
  bool is_contiguous() const { return flags() & c_style; }
  pybind11::dtype scalar_type() const { return dtype(); }
  const void* const_data_ptr() const { return data(); }
  void* mutable_data_ptr() const { return const_cast<void*>(data()); }

 private:
  mutable std::vector<int64_t> element_strides;
};

inline DType dtype_of(const Array& a) {
  if (a.dtype().kind() == 'f' && a.itemsize() == 8) return DType::f64;
  if (a.dtype().kind() == 'f' && a.itemsize() == 4) return DType::f32;
  if (a.dtype().kind() == 'f' && a.itemsize() == 2) return DType::f16;
  throw std::runtime_error("scratchnet: expected a float64, float32 or float16 array");
}
inline pybind11::dtype statistics_dtype(const Array& a) {
  return dtype_of(a) == DType::f64 ? pybind11::dtype::of<double>() : pybind11::dtype::of<float>();
}

template <class>
pybind11::dtype double_dtype() {
  return pybind11::dtype::of<double>();
}
inline bool is_index(const Array& a) { return a.dtype().kind() == 'i' && a.itemsize() == 8; }

template <class>
Array fresh(const int64_t* sizes, int64_t dim, const pybind11::dtype& dtype) {
  return Array(dtype, std::vector<pybind11::ssize_t>(sizes, sizes + dim));
}
inline Array copy_in_order(const Array& a) { return Array::ensure(a, pybind11::array::c_style); }

}  // namespace scratchnet
