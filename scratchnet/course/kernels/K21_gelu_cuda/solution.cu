__global__ void gelu(const float* input, float* output, int64_t n) {
  for (int64_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    const float x = input[i];
    output[i] = 0.5f * x * (1 + erff(x * 0.70710678f));
  }
}

void forward(const float* input, float* output, int64_t rows, int64_t columns) {
  gelu<<<4, 64>>>(input, output, rows * columns);
}
