// What keeps threads from waiting for memory: lines far apart are fetched before they are needed, and large sums are written
// past the cache.
#pragma once
#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "cpu/stream.h"

namespace scratchnet {
namespace {

constexpr int64_t ROW_GRAIN = 4 * GRAIN;  // elements that are worth a thread where whole rows are copied or added
constexpr int64_t AHEAD = 4;              // rows: lines far apart are not prefetched by the CPU itself

template <class T>
SN_INLINE void prefetch(const T* p, int64_t n) {
  for (int64_t b = 0; b < n * (int64_t)sizeof(T); b += LINE) __builtin_prefetch((const char*)p + b);
}

// A row or, with a stride, a column of y from its sums
template <class T>
SN_INLINE void write_sums(T* y, int64_t stride, const acc_t<T>* sums, int64_t n, bool stream) {
  if (stride == 1)
    write(y, n, stream, [&](int64_t j, int64_t count, T* part) SN_LAMBDA_INLINE {
      map<T>(0, count, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE { put(part + c, get(sums + j + c)); });
    });
  else
    for (int64_t j = 0; j < n; j++) store1(y + j * stride, sums[j]);
}

}  // namespace
}  // namespace scratchnet
