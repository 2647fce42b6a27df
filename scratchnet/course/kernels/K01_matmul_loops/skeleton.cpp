// K01: output (rows, columns) = input (rows, inner) @ other (inner, columns). Then: scratchnet check K01
void forward(const float* input, const float* other, float* output, int64_t rows, int64_t inner, int64_t columns) {
  // your three loops
}
