// K37: GELU of whole registers. Then: scratchnet check K37
#include <cstring>

typedef float V __attribute__((vector_size(32)));  // eight floats; + - * / < ?: and << work on all of them
typedef int I __attribute__((vector_size(32)));    // eight whole numbers

// P(a) / Q(a), with which the share of the normal distribution below -a is exp(-a^2 / 2) P(a) / Q(a), for a from 0 to 13
static V ratio(V a) {
  const V p = ((0.482652579f * a + 3.55884602f) * a + 11.1183075f) * a + 16;
  const V q = (((0.0378169033f * a + 0.278437886f) * a + 0.913542649f) * a + 1.49277388f) * a + 1;
  return p / (32 * q);
}

static V exp(V y) {  // for y of 0 or less
  return y;
}

static V gelu(V x) {
  const V a = x < 0 ? -x : x;
  // below(-a), 0 from 13 on; below(x); x times that
  return ratio(a) * exp(-0.5f * a * a);
}

void forward(const float* input, float* output, int64_t rows, int64_t columns) {
  const int64_t n = rows * columns;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    V x;
    std::memcpy(&x, input + i, sizeof x);
    x = gelu(x);
    std::memcpy(output + i, &x, sizeof x);
  }
  for (int64_t j = i; j < n; j++) output[j] = gelu(V{} + input[j])[0];
}
