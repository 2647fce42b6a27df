// How threads split rows: the pieces of a tensor that is reduced over classes.
//
// With inner = 1 a row lies in order in memory, and a piece is some of them. Otherwise the same class of successive rows lies
// in order, and a piece is a strip of such rows.
#pragma once
#include "cpu/flush.h"
#include "cpu/parallel.h"
#include "cpu/stream.h"
#include "online.h"

namespace scratchnet {
namespace {

constexpr int64_t STRIP = 256;  // rows of a strip

// A tensor (outer, classes, inner) cut into pieces by its shape alone: some whole rows, or a strip of rows.
struct Pieces {
  int64_t outer, classes, inner, rows, strips, count;

  Pieces(int64_t outer, int64_t classes, int64_t inner) : outer(outer), classes(classes), inner(inner) {
    rows = inner == 1 ? 1 + BLOCK / (classes + 1) : 1;
    strips = ceil_div(inner, STRIP);
    count = ceil_div(outer, rows) * strips;
  }

  // row(piece, first element, number of the row), for rows that lie in order
  template <class Row>
  void for_each_row(const Row& row, bool flush_to_zero = true) const {
    for_each(
        [&](int64_t piece) {
          for (int64_t i = piece * rows; i < min((piece + 1) * rows, outer); i++) row(piece, i * classes, i);
        },
        flush_to_zero);
  }
  // strip(piece, first element, number of the first row, rows), for those that do not
  template <class Strip>
  void for_each_strip(const Strip& strip, bool flush_to_zero = true) const {
    for_each(
        [&](int64_t piece) {
          const int64_t i = piece / strips, j = piece % strips * STRIP;
          strip(piece, i * classes * inner + j, i * inner + j, min(inner - j, STRIP));
        },
        flush_to_zero);
  }

 private:
  template <class F>
  void for_each(const F& f, bool flush_to_zero) const {
    const int64_t width = min(inner, STRIP);
    parallel_for(0, count, 1 + GRAIN / 2 / (rows * width * classes + 1), [&](int64_t begin, int64_t end) {
      const FlushToZero flush(flush_to_zero);
      for (int64_t piece = begin; piece < end; piece++) f(piece);
      finish_writes();
    });
  }
};

}  // namespace
}  // namespace scratchnet
