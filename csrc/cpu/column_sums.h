// Sums over rows (bias and weight gradients) that do not depend on the number of threads.
//
// The rows are cut into chunks by their number alone. Every chunk adds its rows into a partial sum of its own, in float or
// double, and the partial sums are added in chunk order at the end.
#pragma once
#include "cpu/memory.h"
#include "cpu/parallel.h"
#include "cpu/simd.h"

namespace scratchnet {
namespace {

template <class A, int K = 1>  // K sums of each column
struct ColumnSums {
  const int64_t rows, columns, chunk, chunks;
  const Scratch<A> partial;  // (chunks, K, columns)

  ColumnSums(int64_t rows, int64_t columns)
      : rows(rows),
        columns(columns),
        chunk(rows / 64 < 16 ? 16 : rows / 64 + 1),  // at most 64 chunks of at least 16 rows
        chunks(ceil_div(rows, chunk)),
        partial(chunks, K, columns) {}

  // body(first row, last row, this chunk's partial sums (K, columns), zero at first)
  template <class F>
  void for_each_chunk(const F& body) {
    const int64_t grain = 1 + GRAIN / (chunk * columns + 1);  // the fewest chunks that a thread takes
    parallel_for(0, chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++) {
        A* const sums = partial.at(c * K * columns, K * columns);
        memset(sums, 0, K * columns * sizeof(A));
        body(c * chunk, min(rows, (c + 1) * chunk), sums);
      }
    });
  }

  // The k-th sums.
  template <class T>
  void total(T* sums, int k = 0) const {
    parallel_for(0, columns, 1 + GRAIN / (chunks + 1), [&](int64_t begin, int64_t end) {
      map<A>(begin, end, [&](int64_t j, auto get, auto) {
        vec<A> sum = {};
        for (int64_t c = 0; c < chunks; c++) sum += get(partial.at((c * K + k) * columns + j, min(lanes<A>, end - j)));
        A lane[lanes<A>];
        store(lane, sum);
        for (int64_t l = 0; l < lanes<A> && j + l < end; l++) store1(sums + j + l, lane[l]);
      });
    });
  }
};

}  // namespace
}  // namespace scratchnet
