// K18: LayerNorm, one block for each row. Then: scratchnet check K18
constexpr int THREADS = 128;

__device__ float block_sum(float value) {
  __shared__ float part[THREADS];
  const int t = threadIdx.x;
  part[t] = value;
  // halve, read, and let nobody be too early
  return value;
}

__global__ void layer_norm(const float* input, const float* weight, const float* bias, float eps, float* output,
                           int64_t columns) {
  const float* x = input + blockIdx.x * columns;
  float* y = output + blockIdx.x * columns;
  // the mean, the variance, the results
}

void forward(const float* input, const float* weight, const float* bias, double eps, float* output, int64_t rows,
             int64_t columns) {
  if (rows && columns) layer_norm<<<rows, THREADS>>>(input, weight, bias, eps, output, columns);
}
