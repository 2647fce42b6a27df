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

  // Removes `bytes` of what is kept, or all of it if there is less: the block, or the start of one, that fits best, or else
  // several for the caller to join.
  std::vector<Pages> take_kept(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::vector<Pages> found;
    for (; bytes && !kept.empty(); bytes -= found.back().bytes) found.push_back(cut(closest(bytes), bytes));
    return found;
  }

  // Notes that they are in use. Returns those that are kept beyond what may be: the caller unmaps them.
  std::vector<Pages> use(Pages pages) {
    const std::lock_guard<std::mutex> lock(mutex);
    used[pages.memory] = pages.bytes;
    used_bytes += pages.bytes;
    most_used_bytes = std::max(most_used_bytes, used_bytes);
    return release_until(most_used_bytes - used_bytes);
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
    return release_until(most_used_bytes - used_bytes);
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
  // The smallest that is large enough, of equal ones the latest, which may still be in the cache; else the largest.
  std::vector<Pages>::iterator closest(int64_t bytes) {
    auto best = kept.begin();
    for (auto i = best; i != kept.end(); i++)
      if (best->bytes < bytes ? i->bytes >= best->bytes : i->bytes >= bytes && i->bytes <= best->bytes) best = i;
    return best;
  }

  // Removes the first `bytes` of one that is kept, or all.
  Pages cut(std::vector<Pages>::iterator from, int64_t bytes) {
    const Pages pages = {from->memory, std::min(bytes, from->bytes)};  // neither idle nor marked any more
    kept_bytes -= pages.bytes;
    from->memory += pages.bytes;
    from->bytes -= pages.bytes;
    if (!from->bytes) kept.erase(from);
    return pages;
  }

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
  const int64_t filled = bytes / HUGE_PAGE * HUGE_PAGE;  // a huge page at the end would be resident with what nobody uses of it
  bytes = round_up(bytes, HUGE_PAGE);
  // Map one extra huge page so that the block can be aligned; unmap the slack.
  char* const memory = (char*)mmap(nullptr, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {nullptr, 0};
  const int64_t before = -(uintptr_t)memory % HUGE_PAGE;
  if (before) munmap(memory, before);
  munmap(memory + before + bytes, HUGE_PAGE - before);
#ifdef MADV_HUGEPAGE
  madvise(memory + before, filled, MADV_HUGEPAGE);
#endif
  return {memory + before, bytes};
}

#ifdef MREMAP_FIXED
// Moves pages to another address, without copying them, in the place of what is there. Before Linux 6.17 a call moves only what
// was mapped at once: then a huge page at a time. False if the process has too many mappings; how far it came is not known.
bool move(const Pages& pages, char* to) {
  const auto remap = [&](int64_t at, int64_t bytes) {
    return mremap(pages.memory + at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to + at) != MAP_FAILED;
  };
  if (remap(0, pages.bytes)) return true;
  for (int64_t at = 0; at < pages.bytes; at += HUGE_PAGE)
    if (!remap(at, HUGE_PAGE)) return false;
  return true;
}
#endif

// A block for `bytes` of the pages in the list, which it takes, and of fresh ones.
Pages join(const std::vector<Pages>& list, int64_t bytes) {
#ifdef MREMAP_FIXED
  const Pages block = fresh_pages(bytes);
  int64_t joined = 0;
  for (auto i = list.begin(); block.memory && i != list.end(); joined += i++->bytes)
    if (!move(*i, block.memory + joined)) return {nullptr, 0};  // nor unmapped: others may have mapped what is free there
  if (block.memory) return block;
#endif
  unmap(list);
  return fresh_pages(bytes);
}

}  // namespace

void* sn_take_pages(int64_t bytes) {
  if (bytes > INT64_MAX - 2 * HUGE_PAGE) return nullptr;
  const int64_t rounded = round_up(bytes, HUGE_PAGE);
  const std::vector<Pages> kept = book.take_kept(rounded);
  const Pages pages = kept.size() == 1 && kept[0].bytes == rounded ? kept[0] : join(kept, bytes);
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
