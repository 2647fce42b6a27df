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

// In <primitive>.h: declares the tables of a rung.   SN_DECLARE_RUNG(GeluKernels, gelu_2)
// In <primitive>.h: the copy to use.                 SN_PICK(gelu_2), of rung 1 SN_NAIVE(gelu_1)
#ifdef SN_SINGLE_ISA
#define SN_DECLARE_RUNG(Table, name) extern const Table name##_baseline;
#define SN_PICK(name) name##_baseline
#else
#define SN_DECLARE_RUNG(Table, name) extern const Table name##_baseline, name##_avx2, name##_avx512;
#define SN_PICK(name) \
  (::scratchnet::isa() == Isa::avx512 ? name##_avx512 : ::scratchnet::isa() == Isa::avx2 ? name##_avx2 : name##_baseline)
#endif
#define SN_DECLARE_NAIVE(Table, name) extern const Table name##_baseline;
#define SN_NAIVE(name) name##_baseline

// At the end of a rung's file.                       SN_DEFINE_RUNG(GeluKernels, gelu_2) = {forward, backward};
#define SN_DEFINE_RUNG(Table, name) extern const Table SN_CONCAT(name, SN_ISA)
