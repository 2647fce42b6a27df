// The instruction sets that kernels are compiled for.
#pragma once

namespace scratchnet {

enum class Isa : int { baseline, avx2, avx512 };

// The instruction set in use: the best one of this CPU, or what SCRATCHNET_CPU_ISA asks for. Decided once.
Isa isa();
const char* isa_name(Isa isa);
bool isa_supported(Isa isa);
bool dot_bf16();  // whether the avx512 in use includes AVX512-BF16, which a few of its CPUs lack

}  // namespace scratchnet
