// K12: softmax of each row, dim is -1. Then: scratchnet check K12
constexpr int THREADS = 128;

// The largest or the sum of all threads' values, for every thread.
__device__ float join(float value, bool sums) {
  __shared__ float part[THREADS];
  const int t = threadIdx.x;
  part[t] = value;
  // halve until part[0] has it all
  return value;
}

__global__ void softmax(const float* input, float* output, int64_t columns) {
  const float* x = input + blockIdx.x * columns;
  float* y = output + blockIdx.x * columns;
  float m = -INFINITY;
  for (int64_t j = threadIdx.x; j < columns; j += THREADS) m = fmaxf(m, x[j]);
  m = join(m, false);
  // the sum, then the results
}

void forward(const float* input, int64_t dim, float* output, int64_t rows, int64_t columns) {
  if (rows && columns) softmax<<<rows, THREADS>>>(input, output, columns);
}
