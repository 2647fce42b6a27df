constexpr int TILE = 16;

__global__ void multiply(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  __shared__ float a[TILE][TILE], b[TILE][TILE];
  const int x = threadIdx.x, y = threadIdx.y;
  const int64_t i = blockIdx.y * TILE + y, j = blockIdx.x * TILE + x;
  float sum = 0;
  for (int64_t t = 0; t < inner; t += TILE) {
    a[y][x] = i < rows && t + x < inner ? input[i * inner + t + x] : 0;
    b[y][x] = t + y < inner && j < columns ? other[(t + y) * columns + j] : 0;
    __syncthreads();  // all have written
    for (int k = 0; k < TILE; k++) sum += a[y][k] * b[k][x];
    __syncthreads();  // all have read
  }
  if (i < rows && j < columns) output[i * columns + j] = sum;
}

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const dim3 block(TILE, TILE), grid((columns + TILE - 1) / TILE, (rows + TILE - 1) / TILE);
  multiply<<<grid, block>>>(input, other, output, rows, inner, columns);
}
