// Rows that are sums of rows, each made by the thread that owns it, its terms added in their order: the same bits for any
// number of threads. Large results are written past the cache.
#pragma once
#include "past_the_cache.h"

namespace scratchnet {
namespace {

// Bytes of rows that are fetched before they are added up. Bags of 2 rows of 256 bytes took 1.4 times as long with 2048.
constexpr int64_t AHEAD_BYTES = 8192;

// share * a row of numbers; null counts as nothing
template <class T>
struct Term {
  const T* row;
  acc_t<T> share;
};

// sum_rows with TILE registers of sums; columns that are fewer than they hold read the terms once for each register.
template <int64_t TILE, class T, class F, class G>
void sum_tiles(const int64_t* start, int64_t rows, int64_t columns, const T* base, T* y, const F& term, const G& scale) {
  using A = acc_t<T>;
  constexpr int64_t WIDTH = TILE * lanes<A>;
  const bool stream = rows * columns * sizeof(T) >= STREAM_BYTES;
  constexpr int64_t FURTHER = max(2, AHEAD_BYTES / (WIDTH * sizeof(T)));  // rows, of which a tile is fetched
  const int64_t terms = start[rows];
  // A row costs its terms and one write: row k begins at start[k] + k on the scale that the threads share.
  parallel_for(0, terms + rows, 1 + ROW_GRAIN / (columns + 1), [&](int64_t begin, int64_t end) {
    const F own_term = term;       // a copy, whose pointers stay in registers
    int64_t low = 0, high = rows;  // the first row at or behind `begin`, by bisection
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (start[middle] + middle < begin) low = middle + 1;
      else high = middle;
    }
    for (int64_t k = low; k < rows && start[k] + k < end; k++) {
      const int64_t first = start[k], last = start[k + 1];
      const A times = scale(k);
      T* to = y + k * columns;
      const T* from = base ? base + k * columns : base;
      int64_t j = 0;
      for (; j + WIDTH <= columns; j += WIDTH) {
        vec<A> sum[TILE] = {};
        for (int64_t t = 0; from && t < TILE; t++) sum[t] = load(from + j + t * lanes<A>);
        for (int64_t i = first; i < last; i++) {
          if (j == 0 && i + FURTHER < terms)
            if (const T* next = own_term(i + FURTHER).row) prefetch(next, WIDTH);
          const Term<T> one = own_term(i);
          if (!one.row) continue;
          for (int64_t t = 0; t < TILE; t++) sum[t] += one.share * load(one.row + j + t * lanes<A>);
        }
        write(to + j, WIDTH, stream, [&](int64_t c, int64_t count, T* part) SN_LAMBDA_INLINE {
          for (int64_t b = 0; b < count; b += lanes<A>) store(part + b, times * sum[(c + b) / lanes<A>]);
        });
      }
      map<T>(j, columns, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE {
        vec<A> sum = {};
        if (from) sum = get(from + c);
        for (int64_t i = first; i < last; i++) {
          if (c == 0 && i + FURTHER < terms)
            if (const T* next = own_term(i + FURTHER).row) prefetch(next, columns);
          const Term<T> one = own_term(i);
          if (one.row) sum += one.share * get(one.row + c);
        }
        put(to + c, times * sum);
      });
    }
    finish_writes();
  });
}

// Row k of y (rows, columns): the row of base, or zeros, plus term(i) for start[k] <= i < start[k + 1]; all times scale(k).
template <class T, class F, class G>
void sum_rows(const int64_t* start, int64_t rows, int64_t columns, const T* base, T* y, const F& term, const G& scale) {
  constexpr int64_t L = lanes<acc_t<T>>;
  if (columns >= 8 * L) sum_tiles<8>(start, rows, columns, base, y, term, scale);
  else if (columns >= 4 * L) sum_tiles<4>(start, rows, columns, base, y, term, scale);
  else if (columns >= 2 * L) sum_tiles<2>(start, rows, columns, base, y, term, scale);
  else sum_tiles<1>(start, rows, columns, base, y, term, scale);
}

}  // namespace
}  // namespace scratchnet
