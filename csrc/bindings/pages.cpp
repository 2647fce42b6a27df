// csrc/cpu/pages.h: a list of what is kept and one of what is in use, behind one lock.
#include "pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace {

using namespace scratchnet;

struct Pages {
  char* memory;
  int64_t bytes;
};

std::mutex mutex;  // tensors are freed on any thread
// Never destroyed: tensors may live longer than what is static here.
auto& kept = *new std::vector<Pages>;  // the latest last
auto& used = *new std::unordered_map<void*, int64_t>;
int64_t kept_bytes = 0, used_bytes = 0, most_used_bytes = 0;

Pages fresh_pages(int64_t bytes) {
  bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  // One huge page more than is needed, so as to begin where one begins; what is over goes back at once.
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

// The smallest that is large enough and wastes at most a quarter; of equal ones the latest, which may still be in the cache.
Pages kept_pages(int64_t bytes) {
  auto best = kept.end();
  for (auto i = kept.begin(); i != kept.end(); i++)
    if (i->bytes >= bytes && i->bytes <= bytes + bytes / 4 + HUGE_PAGE && (best == kept.end() || i->bytes <= best->bytes)) best = i;
  if (best == kept.end()) return {nullptr, 0};
  const Pages pages = *best;
  kept.erase(best);
  kept_bytes -= pages.bytes;
  return pages;
}

// The oldest, until so many bytes are kept.
void release_until(int64_t bytes) {
  auto i = kept.begin();
  for (; i != kept.end() && kept_bytes > bytes; i++) {
    munmap(i->memory, i->bytes);
    kept_bytes -= i->bytes;
  }
  kept.erase(kept.begin(), i);
}

}  // namespace

void* sn_take_pages(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  Pages pages = kept_pages(bytes);
  if (!pages.memory) pages = fresh_pages(bytes);
  if (!pages.memory) return nullptr;
  used[pages.memory] = pages.bytes;
  used_bytes += pages.bytes;
  most_used_bytes = std::max(most_used_bytes, used_bytes);
  release_until(most_used_bytes - used_bytes);
  return pages.memory;
}

bool sn_give_pages(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto i = used.find(memory);
  if (i == used.end()) return false;
  const int64_t bytes = i->second;
  used.erase(i);
#ifdef MADV_FREE
  madvise(memory, bytes, MADV_FREE);  // 0.5 us a huge page
#endif
  kept.push_back({(char*)memory, bytes});
  kept_bytes += bytes;
  used_bytes -= bytes;
  return true;
}

int64_t sn_release_kept_pages() {
  const std::lock_guard<std::mutex> lock(mutex);
  const int64_t before = kept_bytes;
  release_until(0);
  return before;
}
