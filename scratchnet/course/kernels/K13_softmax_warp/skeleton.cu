// K13: softmax of each row by one warp, dim is -1. Then: scratchnet check K13
__device__ float warp_sum(float value) {
  // 16, 8, 4, 2, 1
  return value;
}

__device__ float warp_max(float value) {
  // the same with fmaxf
  return value;
}

__global__ void softmax(const float* input, float* output, int64_t rows, int64_t columns) {
  const int64_t row = blockIdx.x * 4 + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (row >= rows) return;  // the whole warp
  // lane, lane + 32, ...: the largest, the sum, the results
}

void forward(const float* input, int64_t dim, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) softmax<<<(rows + 3) / 4, 128>>>(input, output, rows, columns);
}
