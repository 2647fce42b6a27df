// Recurrent layers, rung 4: for few sequences the weights are read where they lie, and all threads share a step.
//
// Packing them would take as long as some steps, and a thread for each sequence would leave the others without work.
#include "cells.h"
#include "cpu/ladder.h"
#include "ops/matmul.h"
#include "whole_steps.h"

namespace scratchnet {
namespace {

constexpr int64_t FEW = 2;  // sequences: with more of them a tile uses each number of the weights often enough

template <class A>
void Weights<A>::multiply(int64_t rows, const A* x, A* y, bool add) const {
  const On on = {sizeof(A) == sizeof(double) ? DType::f64 : DType::f32};
  matmul_kernels(matmul_rungs)
      .product(on, {rows, n, k}, {x, k, 1, nullptr}, {data, row, column, nullptr}, {.y = y, .accumulate = add});
}

bool in_place(const Layer& layer) { return layer.batch <= FEW || layer.steps == 1; }

}  // namespace

SN_DEFINE_RUNG(RecurrenceKernels, recurrence_4) = {
    [](const On& on, const Layer& layer, const RecurrenceForward& to) {
      if (!in_place(layer)) return recurrence_kernels(3).forward(on, layer, to);
      if (on.dtype == DType::f64) SN_MODES(forward, double, layer, to) else SN_MODES(forward, float, layer, to)
    },
    [](const On& on, const Layer& layer, const RecurrenceBackward& to) {
      if (!in_place(layer)) return recurrence_kernels(3).backward(on, layer, to);
      if (on.dtype == DType::f64) SN_MODES(backward, double, layer, to) else SN_MODES(backward, float, layer, to)
    },
};

}  // namespace scratchnet
