// K32: pairs of numbers turned by the angle of their token's place. Then: scratchnet check K32
static void turn(const float* x, const float* cos, const float* sin, float* y, int64_t rows, int64_t tokens, int64_t columns,
                 int64_t rotary) {
  const int64_t half = rotary / 2;
  for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
    // the angles of this row's token, the pairs a and a + half, and what is not turned
  }
}

void forward(const float* query, const float* key, const float* cos, const float* sin, float* q_out, float* k_out,
             int64_t batch, int64_t heads, int64_t tokens, int64_t columns, int64_t key_heads, int64_t rotary) {
  turn(query, cos, sin, q_out, batch * heads * tokens, tokens, columns, rotary);
  // key has heads of its own
}
