#include "cpu/isa.h"

#include <stdlib.h>
#include <string.h>

#include <initializer_list>

namespace scratchnet {

const char* isa_name(Isa isa) { return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "baseline"; }

bool isa_supported(Isa isa) {
  if (isa == Isa::baseline) return true;
#if defined(__x86_64__) && !defined(SN_SINGLE_ISA)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (isa == Isa::avx2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
#else
  return false;
#endif
}

static Isa choose() {
  const char* asked = getenv("SCRATCHNET_CPU_ISA");
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::baseline})
    if (isa_supported(isa) && (!asked || !*asked || strcmp(asked, isa_name(isa)) == 0)) return isa;
  return Isa::baseline;  // asked for something this CPU does not have
}

Isa isa() {
  static const Isa chosen = choose();
  return chosen;
}

bool dot_bf16() {
#if defined(__x86_64__) && !defined(SN_SINGLE_ISA)
  static const bool supported = isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16");
  return supported;
#else
  return false;
#endif
}

}  // namespace scratchnet
