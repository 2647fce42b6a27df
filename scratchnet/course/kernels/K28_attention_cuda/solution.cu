constexpr int THREADS = 32, TILE = 16, MOST = 160;

__global__ void attention(const float* query, const float* key, const float* value, float* output, int64_t rows,
                          int64_t columns) {
  __shared__ float k[TILE * MOST], v[TILE * MOST];
  const int64_t i = blockIdx.x * THREADS + threadIdx.x;
  float q[MOST], acc[MOST] = {}, m = -INFINITY, s = 0;
  for (int c = 0; c < columns; c++) q[c] = i < rows ? query[i * columns + c] : 0;
  for (int64_t first = 0; first < rows; first += TILE) {
    const int tile = rows - first < TILE ? rows - first : TILE;
    for (int p = threadIdx.x; p < tile * columns; p += THREADS) {
      k[p] = key[first * columns + p];
      v[p] = value[first * columns + p];
    }
    __syncthreads();  // the tile is there
    for (int j = 0; j < tile; j++) {
      float dot = 0;
      for (int c = 0; c < columns; c++) dot += q[c] * k[j * columns + c];
      const float score = dot / sqrtf(columns), larger = fmaxf(m, score);
      const float factor = expf(m - larger), power = expf(score - larger);
      s = s * factor + power;
      for (int c = 0; c < columns; c++) acc[c] = acc[c] * factor + power * v[j * columns + c];
      m = larger;
    }
    __syncthreads();  // all are through
  }
  if (i < rows)
    for (int c = 0; c < columns; c++) output[i * columns + c] = acc[c] / s;
}

void forward(const float* query, const float* key, const float* value, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) attention<<<(rows + THREADS - 1) / THREADS, THREADS>>>(query, key, value, output, rows, columns);
}
