constexpr int R = 4, C = 16;

static void one(const float* input, const float* other, float* output, int64_t inner, int64_t columns, int64_t i, int64_t j) {
  float sum = 0;
  for (int64_t k = 0; k < inner; k++) sum += input[i * inner + k] * other[k * columns + j];
  output[i * columns + j] = sum;
}

static void tile(const float* input, const float* other, float* output, int64_t inner, int64_t columns, int64_t i, int64_t j) {
  float sum[R][C] = {};
  for (int64_t k = 0; k < inner; k++) {
    const float* row = other + k * columns + j;
    float a[R];
    for (int r = 0; r < R; r++) a[r] = input[(i + r) * inner + k];
    for (int c = 0; c < C; c++) {
      const float b = row[c];
      for (int r = 0; r < R; r++) sum[r][c] += a[r] * b;
    }
  }
  for (int r = 0; r < R; r++)
    for (int c = 0; c < C; c++) output[(i + r) * columns + j + c] = sum[r][c];
}

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const int64_t tiled = rows / R * R, wide = columns / C * C;
  for (int64_t i = 0; i < tiled; i += R) {
    for (int64_t j = 0; j < wide; j += C) tile(input, other, output, inner, columns, i, j);
    for (int64_t j = wide; j < columns; j++)
      for (int r = 0; r < R; r++) one(input, other, output, inner, columns, i + r, j);
  }
  for (int64_t i = tiled; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) one(input, other, output, inner, columns, i, j);
}
