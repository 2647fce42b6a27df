// How a rung of the CPU column fills its table, and which compiled copy of it runs.
//
// A rung is one source file. It exports its table and nothing else, so that no code compiled for a newer instruction set can
// leak into the rest of the program. The naive loops are compiled once; every other rung is compiled once per instruction set,
// with SN_ISA = baseline, avx2 or avx512; on 64-bit ARM once, with SN_ISA = neon. The twin of this header is
// csrc/cuda/ladder.h.
#pragma once
#include <initializer_list>

#include "cpu/isa.h"
#include "ops/numbers.h"
#include "ops/table.h"

#define SN_CONCAT_(a, b) a##_##b
#define SN_CONCAT(a, b) SN_CONCAT_(a, b)

// At the end of a rung's file: SN_DEFINE_RUNG(GeluKernels, gelu_1) = {SN_TYPED(forward), ...};
#define SN_DEFINE_RUNG(Table, name) extern const Table SN_CONCAT(name, SN_ISA)

// A table's function from a function template over the element type with the same arguments, without the first one.
#define SN_TYPED(function)                                                     \
  [](const On& on, auto... arguments) {                                        \
    SN_FLOATS(on.dtype, return function<T>(::scratchnet::typed(arguments)...)) \
    __builtin_unreachable();                                                   \
  }

// A table's function that this rung does not change, as the rung below has it: SN_FROM(gelu_kernels(1), geglu_forward)
#define SN_FROM(table, function) [](auto... arguments) { return table.function(arguments...); }

namespace scratchnet {
namespace {  // anonymous: each instruction set keeps its own copy

// Of the copies of a rung, in the order of Isa, the one to use.
template <class Table>
const Table* in_use(std::initializer_list<const Table*> copies) {
  return copies.begin()[min((int64_t)isa(), (int64_t)copies.size() - 1)];
}

}  // namespace
}  // namespace scratchnet
