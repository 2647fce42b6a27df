// Threads for kernels: torch's pool, the only one of the process, behind an interface without torch.
#pragma once

#include <stdint.h>

// Splits [begin, end) into ranges of at least `grain`, what is worth a thread that sleeps, or less where threads wake faster
// (sn_worth_threads), and runs `body(context, range)` on each, on up to sn_num_threads() threads; returns when all are done.
// Runs inline where that is not worth a second thread. Throws what a range throws: the first exception. How the range is split
// depends on the number of threads: a sum over it must be split into fixed chunks first.
void sn_parallel_for(int64_t begin, int64_t end, int64_t grain, void (*body)(void* context, int64_t begin, int64_t end),
                     void* context);

// What torch.set_num_threads set.
int64_t sn_num_threads();

// Whether work of so many grains is worth a second thread. A grain is meant for threads that sleep while they are idle
// (OMP_WAIT_POLICY=passive), which wake in 10 to 60 us; those that spin (OpenMP's default) begin within 1 to 3.
bool sn_worth_threads(double grains);

namespace scratchnet {
// Anonymous: each instruction set keeps its own copy, and none can be linked into another's place.
namespace {

// Elements that are worth a thread where each costs a few instructions; where it costs an exponential or a cache miss, half as
// many.
constexpr int64_t GRAIN = 32768;

// parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) { ... });
template <class F>
void parallel_for(int64_t begin, int64_t end, int64_t grain, const F& f) {
  sn_parallel_for(
      begin, end, grain, [](void* context, int64_t from, int64_t to) { (*static_cast<const F*>(context))(from, to); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace
}  // namespace scratchnet
