// K05: output (rows, columns) = input (rows, inner) @ other (inner, columns). Then: scratchnet check K05
__global__ void multiply(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  // which number is mine? make its sum
}

void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  // multiply<<<grid, block>>>(input, other, output, rows, inner, columns);
}
