__device__ float warp_sum(float value) {
  for (int step = 16; step; step /= 2) value += __shfl_xor_sync(0xffffffff, value, step);
  return value;
}

__device__ float warp_max(float value) {
  for (int step = 16; step; step /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffff, value, step));
  return value;
}

__global__ void softmax(const float* input, float* output, int64_t rows, int64_t columns) {
  const int64_t row = blockIdx.x * 4 + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (row >= rows) return;
  const float* x = input + row * columns;
  float m = -INFINITY, sum = 0;
  for (int64_t j = lane; j < columns; j += 32) m = fmaxf(m, x[j]);
  m = warp_max(m);
  for (int64_t j = lane; j < columns; j += 32) sum += expf(x[j] - m);
  sum = warp_sum(sum);
  for (int64_t j = lane; j < columns; j += 32) output[row * columns + j] = expf(x[j] - m) / sum;
}

void forward(const float* input, int64_t dim, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) softmax<<<(rows + 3) / 4, 128>>>(input, output, rows, columns);
}
