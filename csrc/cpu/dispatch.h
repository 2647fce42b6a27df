// Which compiled copy of a kernel runs.
//
// A rung is one source file of a primitive. It fills a table of function pointers (declared in <primitive>/<primitive>.h) and
// exports nothing else, so that no code compiled for a newer instruction set can leak into the rest of the program. Rung 1 is
// compiled once; every later rung is compiled once per instruction set, with SN_ISA = baseline, avx2 or avx512.
//
// The CUDA column fills the same tables by the same words: csrc/cuda/dispatch.h.
#pragma once
#include "types.h"

namespace scratchnet {

using On = DType;  // what a table's function gets before the pointers

enum class Isa : int { baseline, avx2, avx512 };

// The instruction set in use: the best one of this CPU, or what SCRATCHNET_CPU_ISA asks for. Decided once.
Isa isa();
const char* isa_name(Isa isa);
bool isa_supported(Isa isa);
bool dot_bf16();  // whether the avx512 in use has AVX512-BF16 too, which few of its CPUs lack

}  // namespace scratchnet

#define SN_CONCAT_(a, b) a##_##b
#define SN_CONCAT(a, b) SN_CONCAT_(a, b)

#ifdef SN_SINGLE_ISA
#define SN_DECLARE_RUNG(Table, name) extern const Table name##_baseline;
#define SN_PICK(name) name##_baseline
#else
#define SN_DECLARE_RUNG(Table, name) extern const Table name##_baseline, name##_avx2, name##_avx512;
#define SN_PICK(name) \
  (::scratchnet::isa() == Isa::avx512 ? name##_avx512 : ::scratchnet::isa() == Isa::avx2 ? name##_avx2 : name##_baseline)
#endif

// In <primitive>.h: declares the tables of all rungs (gelu_1, gelu_2, ...), their number gelu_rungs, and gelu_kernels(rung),
// the copy to use; a higher number means the last.   SN_LADDER(GeluKernels, gelu, 4)
#define SN_LADDER(Table, name, count)                                                       \
  SN_DECLARE_##count(Table, name)                                                           \
  constexpr int64_t name##_rungs = count;                                                   \
  namespace {                                                                               \
  inline const Table& name##_kernels(int64_t rung) { return SN_PICK_##count(name, rung); }  \
  }
#define SN_DECLARE_1(Table, name) extern const Table name##_1_baseline;
#define SN_DECLARE_2(Table, name) SN_DECLARE_1(Table, name) SN_DECLARE_RUNG(Table, name##_2)
#define SN_DECLARE_3(Table, name) SN_DECLARE_2(Table, name) SN_DECLARE_RUNG(Table, name##_3)
#define SN_DECLARE_4(Table, name) SN_DECLARE_3(Table, name) SN_DECLARE_RUNG(Table, name##_4)
#define SN_DECLARE_5(Table, name) SN_DECLARE_4(Table, name) SN_DECLARE_RUNG(Table, name##_5)
#define SN_PICK_2(name, rung) (rung < 2 ? name##_1_baseline : SN_PICK(name##_2))
#define SN_PICK_3(name, rung) (rung < 3 ? SN_PICK_2(name, rung) : SN_PICK(name##_3))
#define SN_PICK_4(name, rung) (rung < 4 ? SN_PICK_3(name, rung) : SN_PICK(name##_4))
#define SN_PICK_5(name, rung) (rung < 5 ? SN_PICK_4(name, rung) : SN_PICK(name##_5))

// At the end of a rung's file.                       SN_DEFINE_RUNG(GeluKernels, gelu_2) = {forward, backward};
#define SN_DEFINE_RUNG(Table, name) extern const Table SN_CONCAT(name, SN_ISA)
// In the table of a rung: a function that it does not change, as the rung below has it.
// SN_DEFINE_RUNG(GeluKernels, gelu_3) = {forward, SN_FROM(gelu_kernels(2), backward)};
#define SN_FROM(table, function) [](auto... arguments) { return table.function(arguments...); }
