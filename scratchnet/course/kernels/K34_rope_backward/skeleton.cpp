// K34: the gradients are turned back. Then: scratchnet check K34
static void turn_back(const float* dy, const float* cos, const float* sin, float* dx, int64_t rows, int64_t tokens,
                      int64_t columns, int64_t rotary) {
  const int64_t half = rotary / 2;
  for (int64_t i = 0; i < rows; i++, dy += columns, dx += columns) {
    // the angles of this row's token, the pairs turned the other way, and what was not turned
  }
}

void backward(const float* grad_q_out, const float* grad_k_out, const float* query, const float* key, const float* cos,
              const float* sin, float* grad_query, float* grad_key, int64_t batch, int64_t heads, int64_t tokens,
              int64_t columns, int64_t key_heads, int64_t rotary) {
  turn_back(grad_q_out, cos, sin, grad_query, batch * heads * tokens, tokens, columns, rotary);
  // key has heads of its own
}
