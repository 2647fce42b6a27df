#include "cpu/isa.h"

#include <stdlib.h>
#include <string.h>

namespace scratchnet {

const char* isa_name(Isa isa) {
#if defined(__aarch64__)
  constexpr const char* NAMES[] = {"neon"};
#else
  constexpr const char* NAMES[] = {"baseline", "avx2", "avx512"};
#endif
  return NAMES[(int)isa];
}

bool isa_supported(Isa isa) {
  if (isa == ISAS[0]) return true;
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
  const bool free = !asked || !*asked;
  Isa best = ISAS[0];  // also where something was asked for that this CPU does not have
  for (Isa isa : ISAS)
    if (isa_supported(isa) && (free || strcmp(asked, isa_name(isa)) == 0)) best = isa;
  return best;
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
