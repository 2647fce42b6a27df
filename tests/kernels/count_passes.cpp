// A rung that takes one number at a time, compiled with loads and stores that count: how many bytes of the tensors it moves,
// forward and backward. -DSOURCE: its file; -DRUNG: its table, such as gelu_1; one of -DLAYER_NORM, -DCROSS_ENTROPY, -DMATMUL,
// -DGELU. Tensors lie side by side in `memory`; parameters, indices and what is kept for backward lie elsewhere.
#include <stdio.h>
#include <stdlib.h>

#include "cpu/convert.h"
#include "cpu/scalar.h"

static float memory[1 << 16];
static long moved;
static const void* registers[2];  // the numbers that were loaded last: a compiler does not load them again

static void counted(const void* p) {
  if (p < memory || p >= memory + (1 << 16) || p == registers[0] || p == registers[1]) return;
  moved += sizeof(float);
  registers[1] = registers[0], registers[0] = p;
}
#define load1(p) (counted(p), load1(p))
#define store1(p, ...) (counted(p), store1(p, __VA_ARGS__))
#include SOURCE

void* sn_allocate(int64_t bytes) { return calloc(bytes + 1, 1); }
void sn_release(void* memory) { free(memory); }
void sn_sizes_wrap() { abort(); }

constexpr int64_t R = 40, C = 24, N = R * C;
using namespace scratchnet;
static const On on{DType::f32};

static long count() {
  const long result = moved;
  moved = 0;
  return result;
}

#if defined(LAYER_NORM)
static void run() {
  float weight[C] = {}, bias[C] = {}, mean[R], rstd[R];
  RUNG.forward(on, {memory, nullptr, weight, bias, nullptr, memory + N, mean, rstd, R, C, 1e-5});
  printf("%ld\n", count());
  RUNG.backward(on, {memory + 2 * N, nullptr, memory, mean, rstd, weight, memory + 3 * N, weight, bias, R, C});
}
#elif defined(CROSS_ENTROPY)
namespace scratchnet {
const CrossEntropyKernels& cross_entropy_kernels(int64_t) { abort(); }
}  // namespace scratchnet
static void run() {
  int64_t index[R] = {};
  double lse[R];
  float loss = 0, weight = R;
  Totals totals;
  const Targets to{R, C, 1, index, nullptr, nullptr, -100, 0};
  RUNG.cross_entropy_forward(on, to, memory, nullptr, lse, &totals);
  printf("%ld\n", count() - R * (long)sizeof(float));  // without the target's logit
  RUNG.cross_entropy_backward(on, to, &loss, true, &weight, memory, lse, memory + N);
}
#elif defined(MATMUL)
namespace scratchnet {
const MatmulKernels& matmul_kernels(int64_t) { abort(); }
}  // namespace scratchnet
static void run() {
  RUNG.product(on, {R, R, C}, {memory, C, 1, nullptr}, {memory + N, R, 1, nullptr}, {memory + 2 * N});
  printf("%ld\n", count());
}
#elif defined(GELU)
static void run() {
  RUNG.gelu_forward(on, false, memory, memory + N, N);
  printf("%ld\n", count());
  RUNG.gelu_backward(on, false, memory, memory + N, memory + 2 * N, N);
}
#endif

int main() {
  run();
  printf("%ld\n", count());
}
