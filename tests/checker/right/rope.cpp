#include <cstring>

static void rotate(const float* x, const float* cos, const float* sin, float* y, int64_t heads, int64_t tokens, int64_t columns,
                   int64_t rotary, bool turn_back) {
  const int64_t half = rotary / 2;
  for (int64_t i = 0; i < heads * tokens; i++, x += columns, y += columns) {
    const float *c = cos + i % tokens * rotary, *s = sin + i % tokens * rotary;
    for (int64_t a = 0, b = half; a < half; a++, b++) {
      const float sin_a = turn_back ? -s[b] : s[a], sin_b = turn_back ? -s[a] : s[b];
      y[a] = x[a] * c[a] - x[b] * sin_a;
      y[b] = x[b] * c[b] + x[a] * sin_b;
    }
    if (rotary < columns) std::memcpy(y + rotary, x + rotary, (columns - rotary) * sizeof(float));
  }
}

void forward(const float* query, const float* key, const float* cos, const float* sin, float* q_out, float* k_out, int64_t batch,
             int64_t heads, int64_t tokens, int64_t columns, int64_t key_heads, int64_t rotary) {
  rotate(query, cos, sin, q_out, batch * heads, tokens, columns, rotary, false);
  rotate(key, cos, sin, k_out, batch * key_heads, tokens, columns, rotary, false);
}

void backward(const float* grad_q_out, const float* grad_k_out, const float* query, const float* key, const float* cos,
              const float* sin, float* grad_query, float* grad_key, int64_t batch, int64_t heads, int64_t tokens,
              int64_t columns, int64_t key_heads, int64_t rotary) {
  rotate(grad_q_out, cos, sin, grad_query, batch * heads, tokens, columns, rotary, true);
  rotate(grad_k_out, cos, sin, grad_key, batch * key_heads, tokens, columns, rotary, true);
}
