// What the tables of kernels, ops/<op>.h, have in common.
//
// A table holds the kernels of one operator and one rung as function pointers. Both columns fill it, each rung in a file of its
// own: csrc/cpu/<op>/<rung>_<idea>.cpp, csrc/cuda/<op>/<rung>_<idea>.cu. `<op>_kernels(rung)` is the table of that rung in the
// column that is linked in, or of its last rung if it has fewer, and `<op>_rungs` the number of rungs. setup.py writes them
// into ladders.cpp, from the files that exist.
#pragma once
#include "ops/types.h"

namespace scratchnet {

// The first argument of every kernel. The CUDA column needs more of it: Launch in csrc/cuda/ladder.h.
struct On {
  DType dtype;
};

namespace {  // anonymous: each instruction set keeps its own copy

// An argument of a table's function as a template over the element type takes it: void* converts to the pointer that it wants.
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
