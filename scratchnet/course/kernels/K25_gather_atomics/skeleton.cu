// K25: one thread for each gradient. Then: scratchnet check K25
__global__ void fill(float* grad_input, int64_t n) {
  // zeros
}

__global__ void add(const float* grad_output, int64_t dim, const int64_t* index, float* grad_input, int64_t columns,
                    int64_t n) {
  // additions that nobody interrupts
}

void backward(const float* grad_output, const float* input, int64_t dim, const int64_t* index, float* grad_input, int64_t rows,
              int64_t columns) {
  const int64_t n = rows * columns;
  // two launches
}
