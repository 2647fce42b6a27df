// Pooling: one number for each window of a plane (an image of one channel).
//
//   maximum   y = the largest entry of the window, the first of equals; NaN, the last one, is larger than all: torch's rules
//             index = where it lies in the plane.    backward: dx[index] += grad, the transpose of a gather
//   average   y = sum of the window / divisor.       backward: every entry of the window gets grad / divisor
//
// A window is a product of two intervals, so both directions work along one axis after the other.
#pragma once
#include "ops/table.h"

namespace scratchnet {

// Along one axis: tap k of window o lies at o * stride - padding + k * dilation; outside 0 .. in - 1 there is nothing.
struct Axis {
  int64_t in, out, kernel, stride, padding, dilation;

  int64_t tap(int64_t o, int64_t k) const { return o * stride - padding + k * dilation; }
  bool inside(int64_t i) const { return 0 <= i && i < in; }
  int64_t first(int64_t o) const {  // the first tap inside the image, or the nearest entry if all are outside
    const int64_t start = tap(o, 0), skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
    const int64_t i = start + skipped * dilation;
    return i < in ? i : in - 1;
  }
};

// Along one axis: window o covers begin[o] .. end[o] - 1. The divisor of a window is the product of those of both axes.
struct Spans {
  int64_t in, out;
  const int64_t *begin, *end;  // (out), neither ever decreases
  const double* divisor;       // (out)
};

// All tensors are contiguous: x and dx (planes, rows.in, columns.in), the others (planes, rows.out, columns.out).
struct Pool2dKernels {
  void (*max_forward)(const On&, const void* x, void* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns);
  // planes of `in` and `out` numbers; false if an index is not from 0 to in - 1, and dx is void then
  bool (*max_backward)(const On&, const void* grad, const int64_t* index, void* dx, int64_t planes, int64_t in, int64_t out);
  void (*avg_forward)(const On&, const void* x, void* y, int64_t planes, const Spans& rows, const Spans& columns);
  void (*avg_backward)(const On&, const void* grad, void* dx, int64_t planes, const Spans& rows, const Spans& columns);
};

const Pool2dKernels& pool2d_kernels(int64_t rung);

}  // namespace scratchnet
