// Taps of a column of the kernel, which meet neighbouring rows of the image: for few filters.
#pragma once
#include <type_traits>

#include "shifted.h"

namespace scratchnet {
namespace {

constexpr int HIGH = 8;                           // rows of the output: as many registers of sums
constexpr int RUN = ROWS * VECTORS > 16 ? 7 : 4;  // taps at a time, in registers beside the sums

// Taps that meet neighbouring rows of a view: `count` of them, the first at `offset`, and where they are among the terms.
struct Run {
  int64_t offset, count, term[RUN];
};

// All terms, cut into runs.
struct Runs {
  Scratch<Run> run;
  int64_t count = 0;

  Runs(const Views& views, int64_t channels) : run(product_of(channels, views.taps())) {
    const Axis &y = views.y, &x = views.x;
    const int64_t step = y.shift_step < 0 ? -y.shift_step : y.shift_step;
    for (int64_t column = 0; column < channels * x.taps; column++)
      for (int64_t residue = 0; residue < views.residues[0]; residue++) {
        int64_t length = 0;
        for (int64_t up = residue; up <= y.reach() && y.taps; up += y.stride) {  // tap number up / step, counted from the top
          if (up % step) {
            length = 0;
            continue;
          }
          const int64_t tap = y.shift_step < 0 ? y.taps - 1 - up / step : up / step;
          const int64_t term = (column / x.taps * y.taps + tap) * x.taps + column % x.taps;
          if (length % RUN == 0) run[count++] = {views.offset[term], 0, {}};
          Run& last = run[count - 1];
          last.term[last.count++] = term;
          length++;
        }
      }
  }
};

// f(constant N) for a run of N taps.
template <int N = RUN, class F>
SN_INLINE void with_length(int64_t count, const F& f) {
  if constexpr (N > 1)
    if (count < N) return with_length<N - 1>(count, f);
  f(std::integral_constant<int, N>());
}

}  // namespace
}  // namespace scratchnet
