// csrc/cpu/pages.h: a list of what is kept and one of what is in use, behind one lock. No system call is made while it is held,
// and a fork waits for it: the child of a process with many threads inherits the lists whole and the lock free.
#include "cpu/pages.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "ops/numbers.h"

namespace {

using namespace scratchnet;

using Clock = std::chrono::steady_clock;

// Kept pages that nobody took for so long are marked. Marking 4 to 16 MB costs 60 to 80 us where a second core must be told: a
// quarter of a GELU of that size if done at every free, a thousandth of this time.
constexpr auto IDLE = std::chrono::milliseconds(100);
// What is kept beyond this is marked at once: with more, marking takes a hundredth of what it takes to fill it, and a program
// that goes on with other memory would be killed at the limit of its control group.
constexpr int64_t MOST_UNMARKED = 32 * HUGE_PAGE;

struct Pages {
  char* memory;
  int64_t bytes;
  Clock::time_point freed = {};
  bool marked = false;  // MADV_FREE: the system may take them
};

class Book {
 public:
  std::mutex mutex;  // tensors are freed on any thread

  // The smallest that is large enough and wastes at most a quarter; of equal ones the latest, which may still be in the cache.
  Pages take_kept(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    auto best = kept.end();
    for (auto i = kept.begin(); i != kept.end(); i++)
      if (i->bytes >= bytes && i->bytes <= bytes + bytes / 4 + HUGE_PAGE && (best == kept.end() || i->bytes <= best->bytes))
        best = i;
    if (best == kept.end()) return {nullptr, 0};
    const Pages pages = {best->memory, best->bytes};  // neither idle nor marked any more
    kept.erase(best);
    kept_bytes -= pages.bytes;
    return pages;
  }

  // Notes that they are in use. Returns those that are kept beyond what may be: the caller unmaps them.
  std::vector<Pages> use(Pages pages) {
    const std::lock_guard<std::mutex> lock(mutex);
    used[pages.memory] = pages.bytes;
    used_bytes += pages.bytes;
    most_used_bytes = std::max(most_used_bytes, used_bytes);
    return release_until(may_be_kept());
  }

  Pages end_use(void* memory) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto i = used.find(memory);
    if (i == used.end()) return {nullptr, 0};
    const Pages pages = {(char*)memory, i->second};
    used.erase(i);
    used_bytes -= pages.bytes;
    return pages;
  }

  // Another thread may have taken pages meanwhile: returns, as `use` does, what the caller unmaps.
  std::vector<Pages> keep(Pages pages) {
    const std::lock_guard<std::mutex> lock(mutex);
    kept.insert(pages.marked ? first_unmarked() : kept.end(), pages);
    kept_bytes += pages.bytes;
    return release_until(may_be_kept());
  }

  // Removes one that is not marked and was freed before `time`, or is one too many: while the caller marks it, which would wipe
  // out what another thread writes, nobody may take it.
  Pages take_idle(Clock::time_point time) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto oldest = first_unmarked();
    int64_t unmarked = 0;
    for (auto i = oldest; i != kept.end(); i++) unmarked += i->bytes;
    if (oldest == kept.end() || (oldest->freed > time && unmarked <= MOST_UNMARKED)) return {nullptr, 0};
    const Pages pages = *oldest;
    kept.erase(oldest);
    kept_bytes -= pages.bytes;
    return pages;
  }

  std::vector<Pages> release_all() {
    const std::lock_guard<std::mutex> lock(mutex);
    return release_until(0);
  }

 private:
  // With `y = f(x)` in a loop, the old y is freed after the new one is there, and the next step needs memory of another size
  // first: within the peak alone, each step would unmap what the one after it needs.
  int64_t may_be_kept() const { return most_used_bytes + most_used_bytes / 2 - used_bytes; }

  std::vector<Pages>::iterator first_unmarked() {
    return std::find_if(kept.begin(), kept.end(), [](const Pages& pages) { return !pages.marked; });
  }

  // Removes the oldest until at most `bytes` are kept.
  std::vector<Pages> release_until(int64_t bytes) {
    auto end = kept.begin();
    for (; end != kept.end() && kept_bytes > bytes; end++) kept_bytes -= end->bytes;
    const std::vector<Pages> released(kept.begin(), end);
    kept.erase(kept.begin(), end);
    return released;
  }

  std::vector<Pages> kept;  // the latest last, hence the marked ones first
  std::unordered_map<void*, int64_t> used;
  int64_t kept_bytes = 0, used_bytes = 0, most_used_bytes = 0;
};

Book& book = *new Book;  // never destroyed: tensors may live longer than what is static here
const int registered = pthread_atfork([] { book.mutex.lock(); }, [] { book.mutex.unlock(); }, [] { book.mutex.unlock(); });

int64_t unmap(const std::vector<Pages>& list) {
  int64_t bytes = 0;
  for (const Pages& pages : list) munmap(pages.memory, pages.bytes), bytes += pages.bytes;
  return bytes;
}

Pages fresh_pages(int64_t bytes) {
  if (bytes > INT64_MAX - 2 * HUGE_PAGE) return {nullptr, 0};
  bytes = round_up(bytes, HUGE_PAGE);
  // Map one extra huge page so that the block can be aligned; unmap the slack.
  char* const memory = (char*)mmap(nullptr, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {nullptr, 0};
  const int64_t before = -(uintptr_t)memory % HUGE_PAGE;
  if (before) munmap(memory, before);
  munmap(memory + before + bytes, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
  madvise(memory + before, bytes, MADV_HUGEPAGE);
#endif
  return {memory + before, bytes};
}

}  // namespace

void* sn_take_pages(int64_t bytes) {
  Pages pages = book.take_kept(bytes);
  if (!pages.memory) pages = fresh_pages(bytes);
  if (pages.memory) unmap(book.use(pages));
  return pages.memory;
}

bool sn_give_pages(void* memory) {
  Pages pages = book.end_use(memory);
  if (!pages.memory) return false;
  pages.freed = Clock::now();
  unmap(book.keep(pages));
#ifdef MADV_FREE
  for (Pages idle; (idle = book.take_idle(pages.freed - IDLE)).memory;) {
    madvise(idle.memory, idle.bytes, MADV_FREE);
    idle.marked = true;
    unmap(book.keep(idle));
  }
#endif
  return true;
}

int64_t sn_release_kept_pages() { return unmap(book.release_all()); }
