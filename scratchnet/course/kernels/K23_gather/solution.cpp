void forward(const float* input, int64_t dim, const int64_t* index, float* output, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      const int64_t p = i * columns + j;
      output[p] = dim == 0 ? input[index[p] * columns + j] : input[i * columns + index[p]];
    }
}
