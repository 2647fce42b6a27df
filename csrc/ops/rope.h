// Rotary position embedding: every pair of a head's numbers is turned by an angle that grows with the token's position.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the gradient: the transpose of the forward
//
// The pairs (a, b) of a head: (j, j + rotary / 2), or interleaved (2 j, 2 j + 1). What is behind `rotary` is copied.
#pragma once
#include "ops/table.h"

namespace scratchnet {

// The query or the key: numbers of a head are neighbours, the other strides (in elements) are any.
struct RopeHeads {
  const void* x;
  void* y;  // null: not needed
  int64_t heads;
  int64_t x_batch, x_head, x_token, y_batch, y_head, y_token;

  template <class T>
  SN_ANYWHERE const T* from(int64_t b, int64_t h, int64_t t) const {
    return (const T*)x + b * x_batch + h * x_head + t * x_token;
  }
  template <class T>
  SN_ANYWHERE T* to(int64_t b, int64_t h, int64_t t) const {
    return (T*)y + b * y_batch + h * y_head + t * y_token;
  }
};

// The cosines or the sines, double for double heads, else float: a row of `rotary` numbers for each token, or each position.
struct RopeTable {
  const void* p;
  int64_t batch, row;  // strides, batch 0: the same for all; the numbers of a row are neighbours
};

struct Rope {
  RopeHeads part[2];
  RopeTable cos, sin;
  const int64_t* positions;  // of the tokens, a row of the tables; null: token t has row t
  int64_t positions_batch, positions_token;
  int64_t rows;  // of the tables, if there are positions
  int64_t batch, tokens, columns, rotary;
  bool interleaved, inverse;

  SN_ANYWHERE int64_t row(int64_t b, int64_t t) const {
    return positions ? positions[b * positions_batch + t * positions_token] : t;
  }
  // A row of the cosines or the sines, given what `row` returned.
  template <class A>
  SN_ANYWHERE const A* angles(const RopeTable& table, int64_t b, int64_t row) const {
    return (const A*)table.p + b * table.batch + row * table.row;
  }
  bool positions_fit() const {
    const int64_t texts = !positions ? 0 : positions_batch ? batch : 1;
    for (int64_t b = 0; b < texts; b++)
      for (int64_t t = 0; t < tokens; t++)
        if (row(b, t) < 0 || row(b, t) >= rows) return false;
    return true;
  }
};

// Forward and backward are one function. It returns false if a position is out of range; nothing has then been written. A GPU
// cannot say so in time: there it returns true, and an assertion on the device stops it.
struct RopeKernels {
  bool (*rotate)(const On&, const Rope&);
};

const RopeKernels& rope_kernels(int64_t rung);

}  // namespace scratchnet
