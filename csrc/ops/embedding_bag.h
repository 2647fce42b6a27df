// embedding_bag: sums, means or maxima of rows of a table, bag by bag.
//
//   y[b] = sum of scale[p] * weight[index[p]] over the positions offsets[b] <= p < offsets[b + 1] of bag b
#pragma once
#include "ops/table.h"

namespace scratchnet {

enum class BagMode : int64_t { sum, mean, max };  // torch's numbering

// weight (rows, columns) with a stride between rows, index (n), offsets (bags + 1) from 0 up to at most n: what lies behind the
// last one is in no bag.
struct Bags {
  int64_t rows, columns, stride, bags, n;
  const int64_t *index, *offsets;
  BagMode mode;
  int64_t padding;  // an index that counts as absent; -1: none
};

// Both return false if an index or an offset is out of range; the result is then void. A GPU stops, as for a gather.
struct EmbeddingBagKernels {
  // scale (n) or null. For max, which (bags, columns) gets the row that each entry is from, -1 in an empty bag.
  bool (*forward)(const On&, const Bags&, const void* weight, const void* scale, void* y, int64_t* which);
  // grad (bags, columns); dweight (rows, columns) and dscale (n), null where not needed
  bool (*backward)(const On&, const Bags&, const void* grad, const void* weight, const void* scale, const int64_t* which,
                   void* dweight, void* dscale);
};

const EmbeddingBagKernels& embedding_bag_kernels(int64_t rung);

}  // namespace scratchnet
