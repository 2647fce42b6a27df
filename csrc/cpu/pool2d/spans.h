// Windows seen from the entries that they cover: what the gradient of an average sums over.
#pragma once
#include "cpu/memory.h"
#include "ops/pool2d.h"

namespace scratchnet {
namespace {

// Of every entry the windows that cover it: neighbours, because spans do not decrease.
struct Covering {
  const Scratch<int64_t> first, last;
  const Spans spans;

  explicit Covering(const Spans& s) : first(s.in), last(s.in), spans{s.out, s.in, first.data(), last.data(), nullptr} {
    for (int64_t i = 0, begin = 0, end = 0; i < s.in; i++) {
      while (begin < s.out && s.end[begin] <= i) begin++;
      while (end < s.out && s.begin[end] <= i) end++;
      first[i] = begin, last[i] = max(begin, end);
    }
  }
};

}  // namespace
}  // namespace scratchnet
