// The instruction sets that kernels are compiled for.
#pragma once

namespace scratchnet {

// From the one that every CPU of its kind has to the best.
#if defined(__aarch64__)
enum class Isa : int { neon };
constexpr Isa ISAS[] = {Isa::neon};
#else
enum class Isa : int { baseline, avx2, avx512 };
constexpr Isa ISAS[] = {Isa::baseline, Isa::avx2, Isa::avx512};
#endif

// The instruction set in use: the best one of this CPU, or what SCRATCHNET_CPU_ISA asks for. Decided once.
Isa isa();
const char* isa_name(Isa isa);
bool isa_supported(Isa isa);
bool dot_bf16();  // whether the avx512 in use includes AVX512-BF16, which a few of its CPUs lack

}  // namespace scratchnet
