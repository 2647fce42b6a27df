// Recurrent layers, rung 2: whole registers, for the nonlinearities (cells.h) and along the rows of the weights.
//
// One step after the other, for all sequences. Every step reads all weights again, from the cache if they fit.
#include "cells.h"
#include "cpu/ladder.h"
#include "cpu/row_sums.h"
#include "whole_steps.h"

namespace scratchnet {
namespace {

constexpr int64_t CHAIN = 64;  // terms added one after the other: the gradient of a GRU of 1,000 units has 3,000

// Inner products where a column lies in order, else a sum of rows.
template <class A>
void Weights<A>::multiply(int64_t rows, const A* x, A* y, bool add) const {
  if (!add)
    for (int64_t i = 0; i < rows * n; i++) y[i] = 0;
  for (int64_t i = 0; i < rows; i++, x += k, y += n)
    if (row == 1)
      for (int64_t j = 0; j < n; j++)
        y[j] += A(sum_block<A, 1>(0, k, [&](int64_t p, auto get) SN_LAMBDA_INLINE {
                    return Terms<A, 1>{get(x + p) * get(data + j * column + p)};
                  }).v[0]);
    else
      for (int64_t first = 0; first < k; first += CHAIN)
        map<A>(0, n, [&](int64_t j, auto get, auto put) SN_LAMBDA_INLINE {
          vec<A> sum = {};
          for (int64_t p = first; p < min(first + CHAIN, k); p++) sum += x[p] * get(data + p * row + j);
          put(y + j, get(y + j) + sum);
        });
}

}  // namespace

SN_DEFINE_RUNG(RecurrenceKernels, recurrence_2) = {
    [](const On& on, const Layer& layer, const RecurrenceForward& to) {
      if (on.dtype == DType::f64) SN_MODES(forward, double, layer, to) else SN_MODES(forward, float, layer, to)
    },
    [](const On& on, const Layer& layer, const RecurrenceBackward& to) {
      if (on.dtype == DType::f64) SN_MODES(backward, double, layer, to) else SN_MODES(backward, float, layer, to)
    },
};

}  // namespace scratchnet
