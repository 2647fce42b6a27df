// embedding_bag, rung 3: maxima and their rows a register at a time.
//
// Numbers and the rows that they are from are equally wide, so that one comparison serves both.
#include "bags.h"
#include "cpu/gather/sums_of_rows.h"
#include "cpu/ladder.h"

namespace scratchnet {
namespace {

template <class A>
using Rows = typename Simd<A>::I;
template <class A>
using Row = __typeof__(Rows<A>{}[0] + 0);

// Row numbers of a register, from n of them as they are stored and back: loops of a known length, of which GCC makes whole
// registers. (It converts vectors of 128 bytes one number after the other: that took 1.7 times as long.)
template <class A>
SN_INLINE Rows<A> load_rows(const int64_t* p, int64_t n) {
  Row<A> row[lanes<A>] = {};
  if (n >= lanes<A>)
    for (int64_t i = 0; i < lanes<A>; i++) row[i] = Row<A>(p[i]);
  else
    for (int64_t i = 0; i < n; i++) row[i] = Row<A>(p[i]);
  Rows<A> rows;
  memcpy(&rows, row, sizeof rows);
  return rows;
}
template <class A>
SN_INLINE void store_rows(int64_t* p, Rows<A> rows, int64_t n) {
  Row<A> row[lanes<A>];
  memcpy(row, &rows, sizeof rows);
  if (n >= lanes<A>)
    for (int64_t i = 0; i < lanes<A>; i++) p[i] = row[i];
  else
    for (int64_t i = 0; i < n; i++) p[i] = row[i];
}

// The maxima over the entries [first, last) of a bag, of TILE registers of columns from j on; the first entry counts.
template <int64_t TILE, class T, class Get, class Put>
SN_INLINE void largest(const Bags& s, const T* weight, int64_t first, int64_t last, int64_t j, T* y, int64_t* which,
                       const Get& get, const Put& put) {
  using A = acc_t<T>;
  constexpr int64_t L = lanes<A>, FURTHER = max(2, AHEAD_BYTES / (TILE * L * sizeof(T)));
  vec<A> best[TILE];
  Rows<A> row[TILE];
  for (int64_t t = 0; t < TILE; t++) {
    best[t] = get(weight + s.index[first] * s.stride + j + t * L);
    row[t] = Rows<A>{} + Row<A>(s.index[first]);
  }
  for (int64_t p = first + 1; p < last; p++) {
    if (j == 0 && p + FURTHER < s.offsets[s.bags]) prefetch(weight + s.index[p + FURTHER] * s.stride, min(TILE * L, s.columns));
    const int64_t k = s.index[p];
    if (k == s.padding) continue;
    for (int64_t t = 0; t < TILE; t++) {
      const vec<A> v = get(weight + k * s.stride + j + t * L);
      const Rows<A> more = v > best[t];
      best[t] = more ? v : best[t];
      row[t] = more ? Rows<A>{} + Row<A>(k) : row[t];
    }
  }
  for (int64_t t = 0; t < TILE; t++) {
    put(y + j + t * L, best[t]);
    store_rows<A>(which + j + t * L, row[t], s.columns - j - t * L);
  }
}

template <class T>
void forward(const Bags& s, const T* weight, T* y, int64_t* which) {
  constexpr int64_t TILE = 4, WIDTH = TILE * lanes<acc_t<T>>;
  const int64_t each = s.offsets[s.bags] / (s.bags + 1) + 1;
  parallel_for(0, s.bags, 1 + ROW_GRAIN / (each * s.columns + 1), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) {
      const int64_t last = s.offsets[b + 1], at = b * s.columns;
      int64_t first = s.offsets[b], j = 0;
      while (first < last && s.index[first] == s.padding) first++;
      for (; first == last && j < s.columns; j++) y[at + j] = T{}, which[at + j] = -1;
      for (; j + WIDTH <= s.columns; j += WIDTH)
        largest<TILE>(
            s, weight, first, last, j, y + at, which + at, [](const T* p) SN_LAMBDA_INLINE { return load(p); },
            [](T* p, auto v) SN_LAMBDA_INLINE { store(p, v); });
      map<T>(j, s.columns, [&](int64_t c, auto get, auto put) SN_LAMBDA_INLINE {
        largest<1>(s, weight, first, last, c, y + at, which + at, get, put);
      });
    }
  });
}

// Row k gets the gradients of the entries that are from it; a bag that names it twice counts once.
template <class T>
void backward(const Bags& s, const T* grad, const int64_t* which, T* dweight) {
  using A = acc_t<T>;
  const Scratch<int64_t> bag(s.offsets[s.bags]);  // of each position
  for (int64_t b = 0; b < s.bags; b++)
    for (int64_t p = s.offsets[b]; p < s.offsets[b + 1]; p++) bag[p] = b;
  const ByRow by_row(s.index, bag.size, s.rows);
  parallel_for(0, s.rows, 1 + GRAIN / (s.columns + 1), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++)
      map<T>(0, s.columns, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
        vec<A> sum = {};
        int64_t last = -1;
        for (const int64_t* p = by_row.first(k); p < by_row.first(k + 1); p++) {
          const int64_t b = bag[*p], at = b * s.columns + j;
          if (b == last) continue;
          sum += load_rows<A>(which + at, s.columns - j) == Row<A>(k) ? get(grad + at) : vec<A>{};
          last = b;
        }
        put(dweight + k * s.columns + j, sum);
      });
  });
}

}  // namespace

SN_DEFINE_RUNG(EmbeddingBagKernels, embedding_bag_3) = {
    [](const On& on, const Bags& s, const void* weight, const void* scale, void* y, int64_t* which) {
      if (s.mode != BagMode::max || s.rows > INT32_MAX) return embedding_bag_kernels(2).forward(on, s, weight, scale, y, which);
      if (!fits(s)) return false;
      SN_TYPED(forward)(on, s, weight, y, which);
      return true;
    },
    [](const On& on, const Bags& s, const void* grad, const void* weight, const void* scale, const int64_t* which,
       void* dweight, void* dscale) {
      if (s.mode != BagMode::max || s.rows > INT32_MAX || !dweight || dscale)
        return embedding_bag_kernels(2).backward(on, s, grad, weight, scale, which, dweight, dscale);
      if (!fits(s)) return false;
      SN_TYPED(backward)(on, s, grad, which, dweight);
      return true;
    },
};

}  // namespace scratchnet
