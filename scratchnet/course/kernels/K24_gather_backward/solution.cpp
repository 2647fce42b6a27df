void backward(const float* grad_output, const float* input, int64_t dim, const int64_t* index, float* grad_input, int64_t rows,
              int64_t columns) {
  for (int64_t p = 0; p < rows * columns; p++) grad_input[p] = 0;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const int64_t p = i * columns + j;
      grad_input[dim == 0 ? index[p] * columns + j : i * columns + index[p]] += grad_output[p];
    }
}
