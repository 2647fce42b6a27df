// P2: softmax of each row, dim is -1. Find the bug. Then: scratchnet check P2
constexpr int THREADS = 64;

__device__ float block_sum(float value) {
  __shared__ float part[THREADS];
  const int t = threadIdx.x;
  part[t] = value;
  __syncthreads();
  if (t < 32) {
    part[t] += part[t + 32];
    for (int step = 16; step; step /= 2) {
      part[t] += part[t + step];
    }
  }
  __syncthreads();
  return part[0];
}

__global__ void softmax(const float* input, float* output, int64_t columns) {
  const float* x = input + blockIdx.x * columns;
  float* y = output + blockIdx.x * columns;
  float m = -INFINITY, sum = 0;
  for (int64_t j = 0; j < columns; j++) m = fmaxf(m, x[j]);
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) sum += expf(x[j] - m);
  sum = block_sum(sum);
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) y[j] = expf(x[j] - m) / sum;
}

void forward(const float* input, int64_t dim, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) softmax<<<rows, THREADS>>>(input, output, columns);
}
