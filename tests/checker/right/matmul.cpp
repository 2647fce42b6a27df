void forward(const float* a, const float* b, float* y, int64_t m, int64_t k, int64_t n) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      float sum = 0;
      for (int64_t l = 0; l < k; l++) sum += a[i * k + l] * b[l * n + j];
      y[i * n + j] = sum;
    }
}

void backward(const float* grad, const float* a, const float* b, float* da, float* db, int64_t m, int64_t k, int64_t n) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t l = 0; l < k; l++) {
      float sum = 0;
      for (int64_t j = 0; j < n; j++) sum += grad[i * n + j] * b[l * n + j];
      da[i * k + l] = sum;
    }
  for (int64_t l = 0; l < k; l++)
    for (int64_t j = 0; j < n; j++) {
      float sum = 0;
      for (int64_t i = 0; i < m; i++) sum += a[i * k + l] * grad[i * n + j];
      db[l * n + j] = sum;
    }
}
