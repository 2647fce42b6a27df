// csrc/cpu/parallel.h on torch's own thread pool: torch.set_num_threads is obeyed, and there is no second pool.
#include "cpu/parallel.h"

#include <torch/csrc/stable/ops.h>

#include <atomic>
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

void sn_parallel_for(int64_t begin, int64_t end, int64_t grain, void (*body)(void* context, int64_t begin, int64_t end),
                     void* context) {
  if (end <= begin) return;
  if (end - begin <= grain) return body(context, begin, end);
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
