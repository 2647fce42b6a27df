// P7: GELU through two buffers. Right, but slow at one distance. Then: scratchnet check P7
#include <algorithm>
#include <cmath>

constexpr int64_t PIECE = 1024, GAP = 1;

void forward(const float* input, float* output, int64_t rows, int64_t columns) {
  alignas(4096) static thread_local float memory[2 * PIECE + GAP];
  float *in = memory, *out = memory + PIECE + GAP;
  for (int64_t first = 0; first < rows * columns; first += PIECE) {
    const int64_t n = std::min(PIECE, rows * columns - first);
    for (int64_t i = 0; i < n; i++) in[i] = input[first + i];
    for (int64_t i = 0; i < n; i++) out[i] = 0.5f * in[i] * (1 + std::erf(in[i] * 0.70710678f));
    for (int64_t i = 0; i < n; i++) output[first + i] = out[i];
  }
}
