// K36: one thread for each pair, and for each number that is not turned. Then: scratchnet check K36
__global__ void turn(const float* x, const float* cos, const float* sin, float* y, int64_t rows, int64_t tokens,
                     int64_t columns, int64_t rotary) {
  const int64_t half = rotary / 2, each = columns - half;
  const int64_t n = blockIdx.x * blockDim.x + threadIdx.x;
  // which row, and which pair or number of it?
}

static void launch(const float* x, const float* cos, const float* sin, float* y, int64_t rows, int64_t tokens, int64_t columns,
                   int64_t rotary) {
  const int64_t threads = rows * (columns - rotary / 2);
  if (threads) turn<<<(threads + 127) / 128, 128>>>(x, cos, sin, y, rows, tokens, columns, rotary);
}

void forward(const float* query, const float* key, const float* cos, const float* sin, float* q_out, float* k_out,
             int64_t batch, int64_t heads, int64_t tokens, int64_t columns, int64_t key_heads, int64_t rotary) {
  launch(query, cos, sin, q_out, batch * heads * tokens, tokens, columns, rotary);
  launch(key, cos, sin, k_out, batch * key_heads * tokens, tokens, columns, rotary);
}
