// K23: output[i, j] = input[index[i, j], j] or input[i, index[i, j]]. Then: scratchnet check K23
void forward(const float* input, int64_t dim, const int64_t* index, float* output, int64_t rows, int64_t columns) {
  // two loops
}
