// K26: softmax(query key^T / sqrt(columns)) value, without the table of scores. Then: scratchnet check K26
#include <cmath>
#include <vector>

void forward(const float* query, const float* key, const float* value, float* output, int64_t rows, int64_t columns) {
  std::vector<float> scores(rows);
  for (int64_t i = 0; i < rows; i++) {
    // scores, softmax, sum of values
  }
}
