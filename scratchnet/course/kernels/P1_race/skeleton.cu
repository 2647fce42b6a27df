// P1: softmax of each row, dim is -1. Find the bug. Then: scratchnet check P1
constexpr int THREADS = 64;

__global__ void softmax(const float* input, float* output, int64_t columns) {
  __shared__ float total;
  const float* x = input + blockIdx.x * columns;
  float* y = output + blockIdx.x * columns;
  float m = -INFINITY, sum = 0;
  for (int64_t j = 0; j < columns; j++) m = fmaxf(m, x[j]);  // every thread on its own: slow, but right
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) sum += expf(x[j] - m);
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  total += sum;
  __syncthreads();
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) y[j] = expf(x[j] - m) / total;
}

void forward(const float* input, int64_t dim, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) softmax<<<rows, THREADS>>>(input, output, columns);
}
