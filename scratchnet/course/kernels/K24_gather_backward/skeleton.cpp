// K24: each gradient is added to where its number came from. Then: scratchnet check K24
void backward(const float* grad_output, const float* input, int64_t dim, const int64_t* index, float* grad_input, int64_t rows,
              int64_t columns) {
  // zeros, then additions
}
