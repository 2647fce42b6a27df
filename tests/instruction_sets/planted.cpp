// The tile of a product, and one with more sums than there are registers.
#include "cpu/matmul/tile.h"

namespace scratchnet {

void planted(int64_t depth, const float* a, const float* b, float* c) {
  constexpr int64_t WIDTH = COLUMNS<float>;
  tile<float, ROWS, VECTORS, 1>(depth, packed_rows(a), packed_columns(b), c, WIDTH, WIDTH, false);
  tile<float, 2 * ROWS, VECTORS, 1>(depth, packed_rows(a, 1, 2 * ROWS), packed_columns(b), c, WIDTH, WIDTH, false);
}

}  // namespace scratchnet
