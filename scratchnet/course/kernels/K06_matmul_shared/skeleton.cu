// K06: tiles of 16 x 16 in shared memory. Then: scratchnet check K06
constexpr int TILE = 16;

__global__ void multiply(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  __shared__ float a[TILE][TILE], b[TILE][TILE];
  const int x = threadIdx.x, y = threadIdx.y;
  const int64_t i = blockIdx.y * TILE + y, j = blockIdx.x * TILE + x;
  float sum = 0;
  for (int64_t t = 0; t < inner; t += TILE) {
    // load a tile of each, wait, multiply, wait
  }
  if (i < rows && j < columns) output[i * columns + j] = sum;
}

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const dim3 block(TILE, TILE), grid((columns + TILE - 1) / TILE, (rows + TILE - 1) / TILE);
  multiply<<<grid, block>>>(input, other, output, rows, inner, columns);
}
