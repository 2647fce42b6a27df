static void turn_back(const float* dy, const float* cos, const float* sin, float* dx, int64_t rows, int64_t tokens,
                      int64_t columns, int64_t rotary) {
  const int64_t half = rotary / 2;
  for (int64_t i = 0; i < rows; i++, dy += columns, dx += columns) {
    const float *c = cos + i % tokens * rotary, *s = sin + i % tokens * rotary;
    for (int64_t a = 0; a < half; a++) {
      const int64_t b = a + half;
      dx[a] = dy[a] * c[a] + dy[b] * s[b];
      dx[b] = dy[b] * c[b] - dy[a] * s[a];
    }
    for (int64_t j = rotary; j < columns; j++) dx[j] = dy[j];
  }
}

void backward(const float* grad_q_out, const float* grad_k_out, const float* query, const float* key, const float* cos,
              const float* sin, float* grad_query, float* grad_key, int64_t batch, int64_t heads, int64_t tokens,
              int64_t columns, int64_t key_heads, int64_t rotary) {
  turn_back(grad_q_out, cos, sin, grad_query, batch * heads * tokens, tokens, columns, rotary);
  turn_back(grad_k_out, cos, sin, grad_key, batch * key_heads * tokens, tokens, columns, rotary);
}
