// The loops that matmul_tiles.py counts, to be run under cachegrind: rungs 1 to 4 of csrc/cpu/matmul with the sizes of the
// picture. Rung 5 is rung 4 on half of the rows. Exits with 1 if a product is wrong.
#include <cstdio>

constexpr int N = 32, LINE = 8, ROWS = 4, COLUMNS = 16, DEPTH = 8;
using Register = float __attribute__((vector_size(4 * LINE)));

alignas(64) float a[N][N], b[N][N], y[N][N], copy[DEPTH][COLUMNS];
alignas(64) volatile char elsewhere[1 << 16];

Register& at(float& number) { return (Register&)number; }

__attribute__((noinline)) void rung_1() {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int p = 0; p < N; p++) sum += a[i][p] * b[p][j];
      y[i][j] = sum;
    }
}

__attribute__((noinline)) void rung_2() {
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) y[i][j] = 0;
    for (int p = 0; p < N; p++) {
      const float a_ip = a[i][p];
      for (int j = 0; j < N; j++) y[i][j] += a_ip * b[p][j];
    }
  }
}

__attribute__((noinline)) void rung_3() {
  for (int left = 0; left < N; left += COLUMNS) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < COLUMNS; j++) y[i][left + j] = 0;
    for (int top = 0; top < N; top += DEPTH) {
      for (int p = 0; p < DEPTH; p++)
        for (int j = 0; j < COLUMNS; j++) copy[p][j] = b[top + p][left + j];
      for (int i = 0; i < N; i++)
        for (int p = 0; p < DEPTH; p++) {
          const float a_ip = a[i][top + p];
          for (int j = 0; j < COLUMNS; j++) y[i][left + j] += a_ip * copy[p][j];
        }
    }
  }
}

template <int FIRST, int LAST>
__attribute__((noinline)) void rung_4() {
  for (int left = 0; left < N; left += COLUMNS) {
    for (int i = FIRST; i < LAST; i++)
      for (int v = 0; v < COLUMNS; v += LINE) at(y[i][left + v]) = Register{};
    for (int top = 0; top < N; top += DEPTH) {
      for (int p = 0; p < DEPTH; p++)
        for (int v = 0; v < COLUMNS; v += LINE) at(copy[p][v]) = at(b[top + p][left + v]);
      for (int i = FIRST; i < LAST; i += ROWS) {
        Register sum[ROWS][COLUMNS / LINE] = {};
        for (int p = 0; p < DEPTH; p++)
#pragma GCC unroll 4
          for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
            for (int v = 0; v < COLUMNS / LINE; v++) sum[r][v] += a[i + r][top + p] * at(copy[p][v * LINE]);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
          for (int v = 0; v < COLUMNS / LINE; v++) at(y[i + r][left + v * LINE]) += sum[r][v];
      }
    }
  }
}

// Lets other lines into the cache, then multiplies.
template <class Rung>
bool right(Rung rung, int first, int last) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = (i + 2 * j) % 5, b[i][j] = (3 * i + j) % 7, y[i][j] = -1;
  for (int byte = 0; byte < int(sizeof elsewhere); byte++) elsewhere[byte];
  rung();
  for (int i = first; i < last; i++)
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int p = 0; p < N; p++) sum += (i + 2 * p) % 5 * ((3 * p + j) % 7);
      if (y[i][j] != sum) return printf("y[%d][%d] is %g, not %g\n", i, j, y[i][j], sum), false;
    }
  return true;
}

int main() {
  const bool all = right(rung_1, 0, N) && right(rung_2, 0, N) && right(rung_3, 0, N) && right(rung_4<0, N>, 0, N) &&
                   right(rung_4<0, N / 2>, 0, N / 2) && right(rung_4<N / 2, N>, N / 2, N);
  return !all;
}
