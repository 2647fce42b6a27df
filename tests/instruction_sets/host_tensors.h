// Tensors in plain memory for the operators of csrc/bindings, in a program without torch and Python.
#pragma once
#include <memory>
#include <span>

#include "bindings/ops.h"
#include "cpu/scalar.h"

namespace scratchnet {

enum class Type : int64_t { f64, f32, bf16, f16, i64, boolean };  // those of DType, then int64 and bool

struct HostTensor {
  HostTensor(Type type, std::vector<int64_t> sizes, std::vector<int64_t> strides, int64_t elements)
      : memory(new char[elements * size_of(type)]), type(type), shape(std::move(sizes)), steps(std::move(strides)) {
    memset(memory.get(), 0xff, elements * size_of(type));  // NaN: a result that no kernel has written shows
  }

  static int64_t size_of(Type type) { return type == Type::i64 ? 8 : type == Type::boolean ? 1 : dtype_size((DType)type); }

  int64_t dim() const { return shape.size(); }
  std::span<const int64_t> sizes() const { return shape; }
  std::span<const int64_t> strides() const { return steps; }
  int64_t size(int64_t i) const { return shape[i < 0 ? i + dim() : i]; }
  int64_t stride(int64_t i) const { return steps[i < 0 ? i + dim() : i]; }
  int64_t numel() const { return product_of({shape.data(), dim()}); }
  Type scalar_type() const { return type; }
  const void* const_data_ptr() const { return memory.get(); }
  void* mutable_data_ptr() const { return memory.get(); }
  bool is_contiguous() const {
    int64_t step = 1;
    for (int64_t i = dim() - 1; i >= 0; i--) {
      if (shape[i] > 1 && steps[i] != step && numel()) return false;
      step *= shape[i];
    }
    return true;
  }

 private:
  std::shared_ptr<char[]> memory;
  Type type;
  std::vector<int64_t> shape, steps;
};

template <>
inline bool is_float(const HostTensor& t) {
  return t.scalar_type() < Type::i64;
}
template <>
inline bool is_index(const HostTensor& t) {
  return t.scalar_type() == Type::i64;
}
template <>
inline bool is_bool(const HostTensor& t) {
  return t.scalar_type() == Type::boolean;
}
template <>
inline DType dtype_of(const HostTensor& t) {
  return (DType)t.scalar_type();
}
template <>
inline bool holds(const HostTensor& t, DType dtype) {
  return t.scalar_type() == (Type)dtype;
}
template <>
inline std::string type_name(const HostTensor& t) {
  return is_index(t) ? "int64" : is_bool(t) ? "bool" : text(dtype_of(t));
}
template <>
inline auto on(const HostTensor& t) {
  return On{dtype_of(t)};
}
template <>
inline Type statistics_dtype(const HostTensor& t) {
  return t.scalar_type() == Type::f64 ? Type::f64 : Type::f32;
}
template <>
inline Type double_dtype<HostTensor>() {
  return Type::f64;
}
template <>
inline Type index_dtype<HostTensor>() {
  return Type::i64;
}
template <>
inline bool has_dtype(const HostTensor& t, const Type& type) {
  return t.scalar_type() == type;
}

template <>
inline HostTensor fresh<HostTensor>(const int64_t* sizes, int64_t dim, const Type& type) {
  std::vector<int64_t> strides(dim);
  int64_t step = 1;
  for (int64_t i = dim - 1; i >= 0; i--) strides[i] = step, step *= sizes[i];
  return HostTensor(type, {sizes, sizes + dim}, strides, product_of({sizes, dim}));
}
template <>
inline HostTensor copy_in_order(const HostTensor& t) {
  const HostTensor copy = fresh_like(t);
  const int64_t bytes = HostTensor::size_of(t.scalar_type());
  for (int64_t i = 0; i < t.numel(); i++) {
    int64_t from = 0;
    for (int64_t d = t.dim() - 1, rest = i; d >= 0; rest /= t.size(d--)) from += rest % t.size(d) * t.stride(d);
    memcpy((char*)out(copy) + i * bytes, (const char*)data(t) + from * bytes, bytes);
  }
  return copy;
}
template <>
inline HostTensor converted(const HostTensor& t, const Type& type) {
  const HostTensor from = in_order(t), to = fresh<HostTensor>(t.sizes().data(), t.dim(), type);
  for (int64_t i = 0; i < t.numel(); i++) {
    double number;
    SN_FLOATS(dtype_of(from), number = load1((const T*)data(from) + i))
    SN_FLOATS(dtype_of(to), store1((T*)out(to) + i, (acc_t<T>)number))
  }
  return to;
}
template <>
inline void fill_zeros(const HostTensor& t) {
  memset(out(t), 0, t.numel() * HostTensor::size_of(t.scalar_type()));
}

}  // namespace scratchnet
