void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) output[i * columns + j] = 0;
    for (int64_t k = 0; k < inner; k++)
      for (int64_t j = 0; j < columns; j++) output[i * columns + j] += input[i * inner + k] * other[k * columns + j];
  }
}
