__global__ void fill(float* grad_input, int64_t n) {
  const int64_t p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p < n) grad_input[p] = 0;
}

__global__ void add(const float* grad_output, int64_t dim, const int64_t* index, float* grad_input, int64_t columns,
                    int64_t n) {
  const int64_t p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= n) return;
  const int64_t place = dim == 0 ? index[p] * columns + p % columns : p / columns * columns + index[p];
  atomicAdd(grad_input + place, grad_output[p]);
}

void backward(const float* grad_output, const float* input, int64_t dim, const int64_t* index, float* grad_input, int64_t rows,
              int64_t columns) {
  const int64_t n = rows * columns;
  if (n == 0) return;
  fill<<<(n + 127) / 128, 128>>>(grad_input, n);
  add<<<(n + 127) / 128, 128>>>(grad_output, dim, index, grad_input, columns, n);
}
