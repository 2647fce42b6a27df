// Sums over neighbouring channels whose runs are short: columns of the matrix (images, channels * positions).
#pragma once
#include "channel.h"
#include "cpu/memory.h"
#include "cpu/parallel.h"

namespace scratchnet {
namespace {

template <class A>
struct Columns {
  static constexpr int64_t FEW = 8, ROWS = 32 * FEW;     // summed in float, and the sums of those: of equal rows all err alike
  const int64_t rows, step, positions, channels, width;  // width = channels * positions columns, rows `step` apart
  const Scratch<A> memory;                               // (5, width)
  const Scratch<double> total;                           // (terms, width)

  Columns(int64_t rows, int64_t step, int64_t positions, int64_t channels)
      : rows(rows),
        step(step),
        positions(positions),
        channels(channels),
        width(channels * positions),
        memory(5, width),
        total(3, width) {}

  A* row(int k) { return memory.at(k * width, width); }  // a number for each column; five of them
  void fill(int k, int64_t c, A value) {                 // the same for all columns of channel c
    for (int64_t s = 0; s < positions; s++) row(k)[c * positions + s] = value;
  }

  // Into `total`, the sums over the rows of the K terms that f(i, j, get) has for the places i, i + 1, ... of columns j, j + 1,
  // ...
  template <int K, class F>
  SN_INLINE void sum(const F& f) {
    constexpr int64_t N = lanes<A>, U = 4;
    const auto whole = [](const auto* p) SN_LAMBDA_INLINE { return load(p); };
    int64_t j = 0;
    for (; j + U * N <= width; j += U * N) sum_strip<K, U>(j, U * N, whole, f);
    for (; j + N <= width; j += N) sum_strip<K, 1>(j, N, whole, f);
    if (const int64_t n = width - j; n > 0)
      sum_strip<K, 1>(j, n, [n](const auto* p) SN_LAMBDA_INLINE { return load_tail(p, n); }, f);
  }
  template <int K>
  Sums<K> of_channel(int64_t c) const {
    Sums<K> sums;
    for (int k = 0; k < K; k++)
      for (int64_t s = 0; s < positions; s++) sums.v[k] += total[k * width + c * positions + s];
    return sums;
  }

 private:
  // Of U registers of columns, `count` of them in use
  template <int K, int U, class G, class F>
  SN_INLINE void sum_strip(int64_t j, int64_t count, const G& get, const F& f) {
    for (int k = 0; k < K; k++)
      for (int64_t l = 0; l < count; l++) total[k * width + j + l] = 0;
    for (int64_t first = 0; first < rows; first += ROWS) {
      vec<A> sums[K][U] = {};
      const int64_t end = min(rows, first + ROWS);
      for (int64_t n = first; n < end;) {
        vec<A> few[K][U] = {};
        for (const int64_t stop = min(end, n + FEW); n < stop; n++)
#pragma GCC unroll 4
          for (int u = 0; u < U; u++) {
            const int64_t at = j + u * lanes<A>;
            const Terms<A, K> terms = f(n * step + at, at, get);
            for (int k = 0; k < K; k++) few[k][u] += terms.v[k];
          }
        for (int k = 0; k < K; k++)
          for (int u = 0; u < U; u++) sums[k][u] += few[k][u];
      }
      for (int k = 0; k < K; k++) {
        A lane[U * lanes<A>];
        memcpy(lane, sums[k], sizeof lane);
        for (int64_t l = 0; l < count; l++) total[k * width + j + l] += lane[l];
      }
    }
  }
};

constexpr int64_t SHORT = 32;  // runs of fewer numbers are taken as columns

// f(first channel, place of its first number, columns) for blocks of channels
template <class A, class P, class F>
void for_each_columns(const P& p, const F& f) {
  const int64_t size = 16 * (1 + 7 / (p.positions + 1)), blocks = ceil_div(p.channels, size);
  parallel_for(0, blocks, 1 + GRAIN / (p.images * p.positions * size + 1), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) {
      const int64_t c = b * size;
      Columns<A> columns(p.images, p.channels * p.positions, p.positions, min(size, p.channels - c));
      f(c, c * p.positions, columns);
    }
  });
}

}  // namespace
}  // namespace scratchnet
