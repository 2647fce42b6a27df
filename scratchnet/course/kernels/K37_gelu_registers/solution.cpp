#include <cstring>

typedef float V __attribute__((vector_size(32)));
typedef int I __attribute__((vector_size(32)));

static V ratio(V a) {
  const V p = ((0.482652579f * a + 3.55884602f) * a + 11.1183075f) * a + 16;
  const V q = (((0.0378169033f * a + 0.278437886f) * a + 0.913542649f) * a + 1.49277388f) * a + 1;
  return p / (32 * q);
}

static V exp(V y) {
  const I k = __builtin_convertvector(y * 1.44269504f - 0.5f, I);
  const V whole = __builtin_convertvector(k, V);
  const V r = (y - whole * 0.693359375f) + whole * 0.000212194440f;
  const float powers[] = {1 / 5040.f, 1 / 720.f, 1 / 120.f, 1 / 24.f, 1 / 6.f, 0.5f, 1, 1};
  V sum = {};
  for (const float c : powers) sum = sum * r + c;
  return sum * (V)((k + 127) << 23);
}

static V gelu(V x) {
  const V a = x < 0 ? -x : x;
  const V tail = a < 13 ? ratio(a) * exp(-0.5f * a * a) : V{};
  return x * (x < 0 ? tail : 1 - tail);
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
