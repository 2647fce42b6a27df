// Every access to memory that a reader's code makes: what a kernel may touch, who touched it, how it moves through a cache.
#include "trace.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "threads.h"

extern char __ehdr_start, _end;  // the linker's names for the ends of this library

namespace trace {

using emulation::Now;
constexpr Now NEVER = {-1, 0, 0, 0};
constexpr int64_t LINE = 64, SECTOR = 32, PAGE = 4096;  // bytes: of a CPU's cache, of a GPU's, of what 4K aliasing compares

struct Access {
  Now who = NEVER;
  const void* pc = nullptr;
};
// The last accesses to four bytes. Two readers: of two that differ, one is not the thread that writes.
struct Cell {
  Access writer, readers[2];
};
struct Buffer {
  std::string name;
  char *from, *to;
  int item;  // bytes
  bool writable;
  std::vector<Cell> cells;
  std::vector<int32_t> reads, writes;  // of each item
};

static std::vector<Buffer> buffers;
static std::unordered_map<const char*, Cell> shared_cells;
static int64_t shared_launch, shared_block;
static std::string fault;
static bool host_may, counting;
static std::mutex turn;           // threads of a C++ kernel
static thread_local bool inside;  // this file: parts of the C++ library are compiled with the reader's code, and call it too

// ---- What is counted ------------------------------------------------------------------------------------------------------

static Counts counts;
static std::vector<std::pair<int64_t, int64_t>> cache;  // line, when it was last used
static int64_t clock_of_cache;
static std::map<int64_t, std::map<int, int64_t>> line_writers;  // line -> host thread -> how many stores
static std::set<int> writing_threads;
static std::array<const char*, 24> last_stores;
static int64_t stores;
struct Warp {
  int64_t block = -1;
  int met[32] = {};
  std::vector<std::set<int64_t>> sectors;  // the n-th time that a lane comes to this instruction
};
static std::map<std::tuple<const void*, int>, Warp> warps;

static int thread_number() {
  static std::atomic<int> next;
  thread_local const int mine = next++;
  return mine;
}

// A cache of CACHE_LINES lines; the one that was not used for the longest time makes room.
static void through_cache(const char* at, int64_t bytes) {
  for (int64_t line = (int64_t)at / LINE; line <= ((int64_t)at + bytes - 1) / LINE; line++) {
    const auto found = std::find_if(cache.begin(), cache.end(), [&](const auto& entry) { return entry.first == line; });
    if (found != cache.end()) {
      found->second = ++clock_of_cache;
      continue;
    }
    counts.misses++;
    if (cache.size() == CACHE_LINES)
      cache.erase(std::min_element(cache.begin(), cache.end(), [](auto& a, auto& b) { return a.second < b.second; }));
    cache.emplace_back(line, ++clock_of_cache);
  }
}

static void count(Buffer& b, const char* at, int64_t bytes, bool write, const void* pc) {
  auto& times = write ? b.writes : b.reads;
  for (int64_t i = (at - b.from) / b.item; i <= (at + bytes - 1 - b.from) / b.item; i++) times[i]++;
  counts.accesses++, counts.bytes += bytes;
  if (emulation::running()) {
    const Now now = emulation::now();
    Warp& warp = warps[{pc, now.thread / 32}];
    if (warp.block != now.block) warp = {now.block, {}, {}};
    const size_t n = warp.met[now.thread % 32]++;
    if (warp.sectors.size() <= n) warp.sectors.resize(n + 1);
    for (int64_t s = (int64_t)at / SECTOR; s <= ((int64_t)at + bytes - 1) / SECTOR; s++)
      counts.sectors += warp.sectors[n].insert(s).second;
    return;
  }
  through_cache(at, bytes);
  if (write) writing_threads.insert(thread_number());
}

// What a thread of the CPU does anywhere, in its own variables too.
static void count_anywhere(const char* at, int64_t bytes, bool write) {
  if (write) {
    line_writers[(int64_t)at / LINE][thread_number()]++;
    last_stores[stores++ % last_stores.size()] = at;
    return;
  }
  const auto meets = [&](const char* store) { return store && store != at && (store - at) % PAGE == 0; };
  counts.aliases += std::any_of(last_stores.begin(), last_stores.end(), meets);
  float value = 0;
  if (bytes == sizeof value) memcpy(&value, at, sizeof value);
  counts.subnormals += std::fpclassify(value) == FP_SUBNORMAL;
}

// ---- What is forbidden ----------------------------------------------------------------------------------------------------

static std::string place(const void* pc) { return "@" + std::to_string((const char*)pc - &__ehdr_start - 1) + "@"; }

void found(const std::string& what) {
  if (fault.empty()) fault = what;
  inside = false;
  if (emulation::running()) emulation::stop(what);
}

static std::string element(const Buffer& b, const char* at) {
  return b.name + "[" + std::to_string((at - b.from) / b.item) + "]";
}

static void check_race(Cell& cell, const std::string& what, bool write, const void* pc) {
  const Now now = emulation::now();
  const auto clash = [&](const Access& other, const char* did) {
    if (other.who.launch == -1 || emulation::is_before(other.who)) return;
    const bool blocks = other.who.block != now.block;
    found("race: " + emulation::who(now) + (write ? " writes " : " reads ") + what + " in " + place(pc) + ", which " +
          emulation::who(other.who) + " " + did + " in " + place(other.pc) +
          (blocks ? ", and blocks run in any order" : ", and no barrier is between them"));
  };
  clash(cell.writer, write ? "writes too" : "writes");
  if (write) {
    clash(cell.readers[0], "reads");
    clash(cell.readers[1], "reads");
    cell.writer = {now, pc};
  } else {
    const Now& last = cell.readers[0].who;
    if (last.thread != now.thread || last.block != now.block) cell.readers[1] = cell.readers[0];
    cell.readers[0] = {now, pc};
  }
}

static void check_shared(const char* at, int64_t bytes, bool write, const void* pc) {
  const Now now = emulation::now();
  if (shared_launch != now.launch || shared_block != now.block) shared_cells.clear();
  shared_launch = now.launch, shared_block = now.block;
  for (const char* p = at; p < at + bytes; p += 4) check_race(shared_cells[p], "shared memory", write, pc);
}

static void outside(const char* at, bool write, const void* pc) {
  const auto distance = [&](const Buffer& b) { return at < b.from ? b.from - at : at - b.to; };
  const auto nearest =
      std::min_element(buffers.begin(), buffers.end(), [&](auto& a, auto& b) { return distance(a) < distance(b); });
  std::string what = "an address that belongs to no array";
  if (nearest != buffers.end() && distance(*nearest) < (1 << 20)) {
    const int64_t index = (at - nearest->from) / nearest->item;
    what = nearest->name + "[" + std::to_string(index) + "], and " + nearest->name + " has " +
           std::to_string((nearest->to - nearest->from) / nearest->item) + " numbers";
  }
  found("out of bounds: " + emulation::who(emulation::now()) + (write ? " writes " : " reads ") + what + ", in " + place(pc));
}

static void touch(void* p, int64_t bytes, bool write, const void* pc) {
  const char* at = (const char*)p;
  const bool kernel = emulation::running();
  if (kernel && (emulation::stack_memory().has(at) || emulation::host_stack().has(at))) return;
  if (!kernel) turn.lock();
  if (!kernel && counting) count_anywhere(at, bytes, write);
  const auto b = std::find_if(buffers.begin(), buffers.end(), [&](const Buffer& b) { return at >= b.from && at < b.to; });
  if (b != buffers.end()) {
    if (!kernel && !host_may)
      found("the host " + std::string(write ? "writes " : "reads ") + element(*b, at) + " in " + place(pc) +
            ": that is memory of the GPU, only a kernel may touch it");
    if (kernel && write && !b->writable) found("it writes to its input " + element(*b, at) + ", in " + place(pc));
    if (at + bytes > b->to && kernel) outside(b->to, write, pc);
    if (kernel)
      for (int64_t i = (at - b->from) / 4; i < (at + bytes - b->from) / 4; i++)
        check_race(b->cells[i], element(*b, at), write, pc);
    if (counting && at + bytes <= b->to) count(*b, at, bytes, write, pc);
  } else if (kernel && (emulation::section_memory().has(at) || emulation::dynamic_memory().has(at))) {
    check_shared(at, bytes, write, pc);
    counts.shared += counting;
  } else if (kernel && !(at >= &__ehdr_start && at < &_end)) {
    outside(at, write, pc);
  }
  if (!kernel) turn.unlock();
}

void access(void* p, int64_t bytes, bool write, const void* pc) {
  if (inside) return;
  inside = true;
  touch(p, bytes, write, pc);
  inside = false;
}

}  // namespace trace

void sn_trace_fault(const std::string& what) {
  if (trace::fault.empty()) trace::fault = what;
}
void sn_trace_refused(const cudaLaunchConfig_t& c) {
  const auto text = [](dim3 d) { return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z); };
  sn_trace_fault("a GPU refuses this launch: " + text(c.gridDim) + " blocks of " + text(c.blockDim) + " threads with " +
                 std::to_string(c.dynamicSmemBytes) +
                 " bytes of shared memory. It takes at least 1 block and thread, at most 1024 threads and 48 KB");
}
bool sn_trace_failed() { return !trace::fault.empty(); }

// ---- For Python -----------------------------------------------------------------------------------------------------------

EXPORT void sn_trace_begin(bool host_may, bool counting) {
  using namespace trace;
  buffers.clear(), shared_cells.clear(), fault.clear(), cache.clear(), line_writers.clear(), writing_threads.clear(),
      warps.clear();
  last_stores = {}, counts = {}, trace::host_may = host_may, trace::counting = counting;
}
EXPORT void sn_trace_buffer(const char* name, void* from, int64_t items, int item, bool writable) {
  trace::Buffer b = {name, (char*)from, (char*)from + items * item, item, writable, {}, {}, {}};
  b.cells.resize((items * item + 3) / 4), b.reads.resize(items), b.writes.resize(items);
  trace::buffers.push_back(std::move(b));
}
EXPORT const char* sn_trace_report() { return trace::fault.c_str(); }
EXPORT const trace::Counts* sn_trace_counts() {
  using namespace trace;
  counts.threads = writing_threads.size();
  counts.contested = 0;
  for (const auto& [line, writers] : line_writers)
    for (const auto& [thread, times] : writers) counts.contested += writers.size() > 1 ? times : 0;
  return &counts;
}
EXPORT const int32_t* sn_trace_touched(int buffer, bool written) {
  trace::Buffer& b = trace::buffers[buffer];
  return (written ? b.writes : b.reads).data();
}
