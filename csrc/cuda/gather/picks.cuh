// Which neighbours in an index a thread of gather takes.
#pragma once
#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/tile.cuh"
#include "ops/gather.h"

namespace scratchnet {
namespace {

// How much of the index lies in a row: its columns or, where it has none, its entries along the dimension.
SN_ANYWHERE inline int64_t length_of(const GatherShape& s) { return s.columns > 1 ? s.columns : s.to; }

// The neighbours in the index that one thread takes, and where they point.
template <class T>
struct Picks {
  int64_t at, count = 0;                  // the first one's position in index, y and grad; how many exist
  __align__(16) int64_t place[LANES<T>];  // in x, of what each picks

  __device__ __forceinline__ Picks(const GatherShape& s, const int64_t* index, bool aligned) {
    const int64_t length = length_of(s), packs = ceil_div(length, LANES<T>);
    const int64_t row = thread_index() / packs, first = thread_index() % packs * LANES<T>;
    if (row * length >= s.elements()) return;
    const bool along_columns = s.columns > 1;
    const int64_t line = along_columns ? row / s.to : row;
    const int64_t i = along_columns ? row % s.to : first, j = along_columns ? first : 0;
    at = s.y_line(line) + i * s.y_row + j, count = length - first;
#pragma unroll
    for (int k = 0; k < LANES<T>; k += LANES<int64_t>) copy(place + k, index + at + k, count - k, aligned);
#pragma unroll
    for (int k = 0; k < LANES<T>; k++) {
      if (k >= count) return;
      SN_ASSERT(0 <= place[k] && place[k] < s.from);
      place[k] = s.x_line(line) + place[k] * s.x_row + (along_columns ? (j + k) * s.x_column : 0);
    }
  }
};

template <class T>
Grid picks(const GatherShape& s) {
  const int64_t elements = s.elements(), length = length_of(s);
  return elementwise(elements ? elements / length * ceil_div(length, LANES<T>) : 0, TILE_THREADS);
}

}  // namespace
}  // namespace scratchnet
