// What the tables of kernels, ops/<op>.h, have in common.
//
// A table holds the kernels of one operator and one rung as function pointers. Both columns fill it:
// csrc/cpu/<op>/<rung>_<idea>.cpp and csrc/cuda/<op>/<rung>_<idea>.cu, each with a function template for each entry, over the
// element type. A column answers
// `<op>_kernels(rung)` with the table of that rung, or of its last rung if it has fewer; setup.py writes these functions, and
// `<op>_rungs`, their number, from the files that exist (ladders.cpp).
#pragma once
#include "ops/types.h"

namespace scratchnet {

// The first argument of every kernel. The CUDA column needs more of it: Launch in csrc/cuda/ladder.h.
struct On {
  DType dtype;
};

namespace {  // anonymous: each instruction set keeps its own copy

// An argument of a table's function as the function template takes it: void* converts to a pointer to what the template wants.
struct Pointer {
  void* p;
  template <class T>
  operator T*() const {
    return (T*)p;
  }
};
struct ConstPointer {
  const void* p;
  template <class T>
  operator const T*() const {
    return (const T*)p;
  }
};
template <class A>
const A& typed(const A& argument) {
  return argument;
}
inline Pointer typed(void* p) { return {p}; }
inline ConstPointer typed(const void* p) { return {p}; }

}  // namespace
}  // namespace scratchnet
