// K21: 4 blocks of 64 threads for any n. Then: scratchnet check K21
__global__ void gelu(const float* input, float* output, int64_t n) {
  // a loop that steps on by the whole grid
}

void forward(const float* input, float* output, int64_t rows, int64_t columns) {
  gelu<<<4, 64>>>(input, output, rows * columns);
}
