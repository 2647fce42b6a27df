// K33: all heads of a token, then the next token. Then: scratchnet check K33
static void turn(const float* x, const float* c, const float* s, float* y, int64_t columns, int64_t rotary) {
  // one row, as in K32
}

void forward(const float* query, const float* key, const float* cos, const float* sin, float* q_out, float* k_out,
             int64_t batch, int64_t heads, int64_t tokens, int64_t columns, int64_t key_heads, int64_t rotary) {
  for (int64_t t = 0; t < tokens; t++) {
    const float *c = cos + t * rotary, *s = sin + t * rotary;
    // all rows of query and of key that belong to token t
  }
}
