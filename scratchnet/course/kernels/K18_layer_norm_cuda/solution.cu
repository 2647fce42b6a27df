constexpr int THREADS = 128;

__device__ float block_sum(float value) {
  __shared__ float part[THREADS];
  const int t = threadIdx.x;
  part[t] = value;
  __syncthreads();
  for (int step = THREADS / 2; step; step /= 2) {
    if (t < step) part[t] += part[t + step];
    __syncthreads();
  }
  const float all = part[0];
  __syncthreads();  // all have read part[0]
  return all;
}

__global__ void layer_norm(const float* input, const float* weight, const float* bias, float eps, float* output,
                           int64_t columns) {
  const float* x = input + blockIdx.x * columns;
  float* y = output + blockIdx.x * columns;
  float sum = 0, squares = 0;
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) sum += x[j];
  const float mean = block_sum(sum) / columns;
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) squares += (x[j] - mean) * (x[j] - mean);
  const float scale = rsqrtf(block_sum(squares) / columns + eps);
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) y[j] = (x[j] - mean) * scale * weight[j] + bias[j];
}

void forward(const float* input, const float* weight, const float* bias, double eps, float* output, int64_t rows,
             int64_t columns) {
  if (rows && columns) layer_norm<<<rows, THREADS>>>(input, weight, bias, eps, output, columns);
}
