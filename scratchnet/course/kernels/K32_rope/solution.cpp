static void turn(const float* x, const float* cos, const float* sin, float* y, int64_t rows, int64_t tokens, int64_t columns,
                 int64_t rotary) {
  const int64_t half = rotary / 2;
  for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
    const float *c = cos + i % tokens * rotary, *s = sin + i % tokens * rotary;
    for (int64_t a = 0; a < half; a++) {
      const int64_t b = a + half;
      y[a] = x[a] * c[a] - x[b] * s[a];
      y[b] = x[b] * c[b] + x[a] * s[b];
    }
    for (int64_t j = rotary; j < columns; j++) y[j] = x[j];
  }
}

void forward(const float* query, const float* key, const float* cos, const float* sin, float* q_out, float* k_out,
             int64_t batch, int64_t heads, int64_t tokens, int64_t columns, int64_t key_heads, int64_t rotary) {
  turn(query, cos, sin, q_out, batch * heads * tokens, tokens, columns, rotary);
  turn(key, cos, sin, k_out, batch * key_heads * tokens, tokens, columns, rotary);
}
