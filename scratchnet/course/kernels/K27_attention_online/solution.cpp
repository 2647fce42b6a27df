#include <cmath>

void forward(const float* query, const float* key, const float* value, float* output, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    const float* q = query + i * columns;
    float* out = output + i * columns;
    float m = -INFINITY, s = 0;
    for (int64_t c = 0; c < columns; c++) out[c] = 0;
    for (int64_t j = 0; j < rows; j++) {
      float dot = 0;
      for (int64_t c = 0; c < columns; c++) dot += q[c] * key[j * columns + c];
      const float score = dot / std::sqrt((float)columns), larger = score > m || std::isnan(score) ? score : m;
      const float factor = std::exp(m - larger), power = std::exp(score - larger);
      s = s * factor + power;
      for (int64_t c = 0; c < columns; c++) out[c] = out[c] * factor + power * value[j * columns + c];
      m = larger;
    }
    for (int64_t c = 0; c < columns; c++) out[c] /= s;
  }
}
