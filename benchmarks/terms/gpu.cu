// What a GPU's memory is asked for, counted by the emulation (gpu.py): no speed, and no GPU.

// y[i] = x[i * step], and how many blocks took part.
__global__ void read(const float* x, float* y, float* blocks, int64_t n, int64_t step) {
  const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
  if (threadIdx.x == 0) atomicAdd(blocks, 1.f);
  if (i < n) y[i] = x[i * step];
}
extern "C" __attribute__((visibility("default"))) void spread(const float* x, float* y, float* blocks, int64_t n,
                                                              int64_t step) {
  read<<<(n + 255) / 256, 256>>>(x, y, blocks, n, step);
}

// The sum of a warp by shuffles, and how many of them one lane makes.
__global__ void add_up(const float* x, float* y) {
  float sum = x[threadIdx.x];
  for (int step = 16; step; step /= 2) {
    sum += __shfl_xor_sync(0xffffffff, sum, step);
    if (threadIdx.x == 0) y[1] += 1;
  }
  if (threadIdx.x == 0) y[0] = sum;
}
extern "C" __attribute__((visibility("default"))) void warp_sum(const float* x, float* y) { add_up<<<1, 32>>>(x, y); }

// Threads exchange numbers through shared memory, with the barrier between or without.
__global__ void exchange(const float* x, float* y, int64_t barrier) {
  __shared__ float part[256];
  const int i = threadIdx.x;
  part[i] = x[i];
  if (barrier) __syncthreads();
  y[i] = part[255 - i];
}
extern "C" __attribute__((visibility("default"))) void exchanged(const float* x, float* y, int64_t barrier) {
  exchange<<<1, 256>>>(x, y, barrier);
}
