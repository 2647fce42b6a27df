// Multiply-adds at full speed: x = x a + b on whole registers, with enough independent x to hide
// the latency of each.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "ops/roof.h"

namespace scratchnet {
namespace {

#if defined(__aarch64__)
constexpr int CHAINS = 16;  // a multiply-add takes 4 cycles and the widest cores begin four in each
#else
constexpr int CHAINS = 12;  // a multiply-add takes 4 to 5 cycles and a core begins two in each; 16 registers hold 12, a and b
#endif

template <class T>
int64_t multiply_add(int64_t rounds) {
  const int64_t threads = sn_num_threads();
  parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      vec<T> x[CHAINS];
      for (int c = 0; c < CHAINS; c++) x[c] = splat(T(c));
      volatile T half = 0.5, one = 1;  // volatile: or the compiler would compute the result itself
      const vec<T> a = splat(T(half)), b = splat(T(one));
      for (int64_t r = 0; r < rounds; r++)
        for (int c = 0; c < CHAINS; c++) x[c] = x[c] * a + b;
      for (int c = 1; c < CHAINS; c++) x[0] += x[c];
      volatile T wanted = vsum(x[0]);  // or the compiler would delete the loop
      (void)wanted;
    }
  });
  return threads * rounds * CHAINS * lanes<T> * 2;
}

}  // namespace

SN_DEFINE_RUNG(RoofKernels, roof_1) = {[](const On& on, int64_t rounds) {
  return on.dtype == DType::f32 ? multiply_add<float>(rounds) : multiply_add<double>(rounds);
}};

}  // namespace scratchnet
