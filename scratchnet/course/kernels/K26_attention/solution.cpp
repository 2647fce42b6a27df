#include <cmath>
#include <vector>

void forward(const float* query, const float* key, const float* value, float* output, int64_t rows, int64_t columns) {
  std::vector<float> scores(rows);
  for (int64_t i = 0; i < rows; i++) {
    const float* q = query + i * columns;
    float* out = output + i * columns;
    float m = -INFINITY, sum = 0;
    for (int64_t j = 0; j < rows; j++) {
      float dot = 0;
      for (int64_t c = 0; c < columns; c++) dot += q[c] * key[j * columns + c];
      scores[j] = dot / std::sqrt((float)columns);
      m = scores[j] > m || std::isnan(scores[j]) ? scores[j] : m;
    }
    for (int64_t j = 0; j < rows; j++) sum += scores[j] = std::exp(scores[j] - m);
    for (int64_t c = 0; c < columns; c++) out[c] = 0;
    for (int64_t j = 0; j < rows; j++) {
      const float weight = scores[j] / sum;
      for (int64_t c = 0; c < columns; c++) out[c] += weight * value[j * columns + c];
    }
  }
}
