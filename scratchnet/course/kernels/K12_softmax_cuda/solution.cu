constexpr int THREADS = 128;

__device__ float join(float value, bool sums) {
  __shared__ float part[THREADS];
  const int t = threadIdx.x;
  part[t] = value;
  __syncthreads();
  for (int step = THREADS / 2; step; step /= 2) {
    if (t < step) part[t] = sums ? part[t] + part[t + step] : fmaxf(part[t], part[t + step]);
    __syncthreads();  // of a step
  }
  const float all = part[0];
  __syncthreads();  // all have read it
  return all;
}

__global__ void softmax(const float* input, float* output, int64_t columns) {
  const float* x = input + blockIdx.x * columns;
  float* y = output + blockIdx.x * columns;
  float m = -INFINITY, sum = 0;
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) m = fmaxf(m, x[j]);
  m = join(m, false);
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) sum += expf(x[j] - m);
  sum = join(sum, true);
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) y[j] = expf(x[j] - m) / sum;
}

void forward(const float* input, int64_t dim, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) softmax<<<rows, THREADS>>>(input, output, columns);
}
