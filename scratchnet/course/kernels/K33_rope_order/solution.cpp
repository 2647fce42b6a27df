static void turn(const float* x, const float* c, const float* s, float* y, int64_t columns, int64_t rotary) {
  const int64_t half = rotary / 2;
  for (int64_t a = 0; a < half; a++) {
    const int64_t b = a + half;
    y[a] = x[a] * c[a] - x[b] * s[a];
    y[b] = x[b] * c[b] + x[a] * s[b];
  }
  for (int64_t j = rotary; j < columns; j++) y[j] = x[j];
}

void forward(const float* query, const float* key, const float* cos, const float* sin, float* q_out, float* k_out,
             int64_t batch, int64_t heads, int64_t tokens, int64_t columns, int64_t key_heads, int64_t rotary) {
  for (int64_t t = 0; t < tokens; t++) {
    const float *c = cos + t * rotary, *s = sin + t * rotary;
    for (int64_t i = t; i < batch * heads * tokens; i += tokens)
      turn(query + i * columns, c, s, q_out + i * columns, columns, rotary);
    for (int64_t i = t; i < batch * key_heads * tokens; i += tokens)
      turn(key + i * columns, c, s, k_out + i * columns, columns, rotary);
  }
}
