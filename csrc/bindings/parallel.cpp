// csrc/cpu/parallel.h on torch's own thread pool: torch.set_num_threads is obeyed, and there is no second pool.
#include "cpu/parallel.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>

#ifdef __SANITIZE_THREAD__
// The sanitizer does not see how torch's pool, which it did not compile, hands work over and waits for it: tell it.
#include <sanitizer/tsan_interface.h>
static char started, finished;
#define SN_BEFORE(event) __tsan_release(&event)
#define SN_AFTER(event) __tsan_acquire(&event)
#else
#define SN_BEFORE(event)
#define SN_AFTER(event)
#endif

namespace {

constexpr double SLEEPING = 32;      // microseconds: what a grain is worth
constexpr double FASTEST = 1. / 16;  // of that

// The median time of a parallel region that does nothing, in microseconds: 11 of them in a row, after one that makes the
// threads.
double time_of_nothing() {
  std::array<double, 12> times;
  for (double& time : times) {
    const auto start = std::chrono::steady_clock::now();
    torch::stable::parallel_for(0, sn_num_threads(), 1, [](int64_t, int64_t) {});
    time = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(times.begin() + 1, times.end());
  return times[6];
}

// What it costs to wake the threads here, as a share of SLEEPING. Measured when it is first needed for a number of threads: it
// depends on OMP_WAIT_POLICY, GOMP_SPINCOUNT, and whether there are cores for the threads to spin on.
double wake() {
#ifdef __SANITIZE_THREAD__
  return FASTEST;  // the finest split of any machine: a race shows only where work is split
#endif
  constexpr double INLINE = 0.3;  // microseconds; faster: no thread was asked, because this runs on one of them
  static std::array<std::atomic<double>, 256> known{};
  std::atomic<double>& share = known[std::min<int64_t>(sn_num_threads(), known.size() - 1)];
  if (const double value = share) return value;
  const double time = time_of_nothing();
  if (time < INLINE) return 1;
  return share = std::clamp(time / SLEEPING, FASTEST, 1.);
}

}  // namespace

bool sn_worth_threads(double grains) { return sn_num_threads() > 1 && grains >= 2 * FASTEST && grains >= 2 * wake(); }

void sn_parallel_for(int64_t begin, int64_t end, int64_t grain, void (*body)(void* context, int64_t begin, int64_t end),
                     void* context) {
  if (end <= begin) return;
  if (end - begin == 1 || (grain > 1 && !sn_worth_threads((double)(end - begin) / grain))) return body(context, begin, end);
  if (grain > 1) grain = std::max<int64_t>(1, grain * wake());
  std::exception_ptr thrown;  // the first one; no exception may leave a thread of the pool
  std::atomic_flag taken;
  const auto run = [&](int64_t from, int64_t to) {
    SN_AFTER(started);
    try {
      body(context, from, to);
    } catch (...) {
      if (!taken.test_and_set()) thrown = std::current_exception();
    }
    SN_BEFORE(finished);
  };
  SN_BEFORE(started);
  torch::stable::parallel_for(begin, end, grain, run);
  SN_AFTER(finished);
  if (thrown) std::rethrow_exception(thrown);
}

int64_t sn_num_threads() { return torch::stable::get_num_threads(); }
