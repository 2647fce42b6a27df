__global__ void multiply(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const int64_t i = blockIdx.y * blockDim.y + threadIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows || j >= columns) return;
  float sum = 0;
  for (int64_t k = 0; k < inner; k++) sum += input[i * inner + k] * other[k * columns + j];
  output[i * columns + j] = sum;
}

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  const dim3 block(16, 16), grid((columns + 15) / 16, (rows + 15) / 16);
  multiply<<<grid, block>>>(input, other, output, rows, inner, columns);
}
