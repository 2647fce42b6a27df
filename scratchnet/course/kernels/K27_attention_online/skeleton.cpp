// K27: attention in one walk along keys and values, with no row of scores. Then: scratchnet check K27
#include <cmath>

void forward(const float* query, const float* key, const float* value, float* output, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; i++) {
    const float* q = query + i * columns;
    float* out = output + i * columns;  // the weighted sum so far
    float m = -INFINITY, s = 0;
    // one key and its value at a time
  }
}
