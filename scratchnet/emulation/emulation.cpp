// Grid, blocks, warps and threads on one CPU thread: every CUDA thread of a block is a fiber, a stack to return to.
#include <cuda_runtime.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "threads.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else  // AddressSanitizer wants to know about stacks; without it there is nobody to tell
#define __asan_unpoison_memory_region(memory, bytes)
#define __sanitizer_start_switch_fiber(fake, stack, bytes) (void)(fake), (void)(stack), (void)(bytes)
#define __sanitizer_finish_switch_fiber(fake, stack, bytes) (void)(fake), (void)(stack), (void)(bytes)
#endif

#ifndef __x86_64__
#error "The emulation switches stacks in x86-64 assembly."
#endif

// void sn_switch(void** here, void* there): saves the callee-saved registers on this stack, and continues where the other
// stack was left.
asm(R"(
.text
.type sn_switch, @function
sn_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size sn_switch, . - sn_switch
)");
extern "C" void sn_switch(void** here, void* there);

extern char __start_sn_shared[], __stop_sn_shared[];  // the linker's names for the ends of the section
// The section must exist even where no kernel has shared memory.
__attribute__((section("sn_shared"), used)) static char some_shared_memory;

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulation {

constexpr size_t STACK = 1 << 17;
constexpr int MOST_THREADS = 1024, WARPS = MOST_THREADS / 32;                 // of a block
constexpr size_t DYNAMIC_SHARED = 48 << 10, MOST_DYNAMIC_SHARED = 227 << 10;  // without and with cudaFuncSetAttribute

struct Copy {
  void* shared;
  const void* global;
  int bytes, zeros;
};

struct Thread {
  uint3 index;
  int linear;
  void* stack_pointer;
  char* stack;
  enum { READY, AT_BARRIER, IN_WARP, GONE } state;
  bool vote;          // at a barrier
  const char* where;  // the barrier's file, or the name of what the warp does together
  int line;
  unsigned mask;
  void* operand;
  std::vector<std::vector<Copy>> groups;  // of copies that have not happened yet; the last one is open
};

char* dynamic_shared;
static size_t dynamic_bytes;
static char* host_frame;

static Thread* self;  // the one that is running
static std::vector<Thread> threads;
static char* stacks;     // of all threads; kept from launch to launch
static void* scheduler;  // its stack pointer
static const void* scheduler_stack;
static size_t scheduler_size;
static const std::function<void()>* body;
static std::exception_ptr failure;
static unsigned ready[WARPS];  // the lanes of each warp that are READY
static bool some_vote;         // at the last barrier
static std::map<const void*, size_t> allowed_shared;
static std::mt19937_64 random_bits;
static long launches;
static int64_t block_number;  // of the one that runs
// Moments are counted: each wait of threads for one another is one.
static long moment, block_moment, warp_moments[WARPS][32][32];  // when two lanes last waited for one another

extern "C" __attribute__((visibility("default"))) void sn_emulation_seed(uint64_t seed) { random_bits.seed(seed); }
extern "C" __attribute__((visibility("default"))) long sn_emulation_launches() { return launches; }

static unsigned random_below(unsigned n) { return random_bits() % n; }

void fail(const std::string& what) { throw std::runtime_error(what); }
int lane() { return self->linear % 32; }

static std::string name(const uint3& i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

// ---- Fibers ---------------------------------------------------------------------------------------------------------------

static void to_scheduler(bool for_good) {
  ready[self->linear / 32] &= ~(1u << lane());
  void* fake;
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, scheduler_stack, scheduler_size);
  sn_switch(&self->stack_pointer, scheduler);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
}

static void thread_main() {
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
  try {
    (*body)();
  } catch (...) {
    failure = std::current_exception();
  }
  self->groups.clear();
  self->state = Thread::GONE;
  to_scheduler(true);
}

static void prepare(Thread& t, int linear) {
  t = {};
  t.linear = linear;
  t.index = {linear % blockDim.x, linear / blockDim.x % blockDim.y, linear / blockDim.x / blockDim.y};
  if (!stacks) {
    constexpr int KIND = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* memory = mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE, KIND, -1, 0);
    if (memory == MAP_FAILED) fail("no memory for the threads' stacks");
    stacks = (char*)memory;
  }
  t.stack = stacks + linear * STACK;
  void** top = (void**)(t.stack + STACK) - 2;
  *top = (void*)thread_main;
  t.stack_pointer = top - 6;  // six registers with any content
}

// AddressSanitizer must know no more of frames that nobody returns to. Of a thread that ended these are its last ones.
constexpr size_t LAST_FRAMES = 4096;
static void forget(char* memory, size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }

static void resume(Thread& t) {
  self = &t;
  threadIdx = t.index;
  void* fake;
  __sanitizer_start_switch_fiber(&fake, t.stack, STACK);
  sn_switch(&scheduler, t.stack_pointer);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
}

// ---- What threads do together --------------------------------------------------------------------------------------------

int barrier(const char* file, int line, bool vote) {
  self->state = Thread::AT_BARRIER;
  self->where = file, self->line = line, self->vote = vote;
  to_scheduler(false);
  return some_vote;
}

void together(const char* what, unsigned mask, void* operand, void (*complete)(unsigned, void**)) {
  const int first = self->linear / 32 * 32, lanes = std::min<int>(32, threads.size() - first);
  if (!(mask >> lane() & 1)) fail(std::string(what) + ": thread " + name(self->index) + " is not in its own mask");
  if (lanes < 32) mask &= (1u << lanes) - 1;
  self->operand = operand, self->mask = mask, self->where = what, self->state = Thread::IN_WARP;
  void* operands[32] = {};
  for (int i = 0; i < lanes; i++)
    if (mask >> i & 1) {
      const Thread& t = threads[first + i];
      if (t.state != Thread::IN_WARP || t.mask != mask || t.where != what) return to_scheduler(false);  // the last completes
      operands[i] = t.operand;
    }
  complete(mask, operands);
  for (int i = 0; i < lanes; i++)
    if (mask >> i & 1) threads[first + i].state = Thread::READY;
  ready[first / 32] |= mask;
}

void syncwarp(unsigned mask) {
  together("__syncwarp", mask, nullptr, [](unsigned mask, void**) {
    moment++;
    for (int i = 0; i < 32; i++)
      for (int j = 0; j < 32; j++)
        if (mask >> i & mask >> j & 1) warp_moments[self->linear / 32][i][j] = moment;
  });
}

void copy_later(void* shared, const void* global, int bytes, int zeros) {
  if ((uintptr_t)shared % (bytes + zeros) || (uintptr_t)global % (bytes + zeros)) fail("cp.async: an address is not aligned");
  if (self->groups.empty()) self->groups.emplace_back();
  self->groups.back().push_back({shared, global, bytes, zeros});
}

void close_group() {
  if (self->groups.empty()) self->groups.emplace_back();
  self->groups.emplace_back();
}

void wait_for_groups(int still_open) {
  auto& groups = self->groups;
  while ((int)groups.size() - 1 > still_open) {
    for (const Copy& c : groups.front()) {
      memcpy(c.shared, c.global, c.bytes);
      memset((char*)c.shared + c.bytes, 0, c.zeros);
    }
    groups.erase(groups.begin());
  }
}

// ---- What trace.cpp asks ----------------------------------------------------------------------------------------------

bool running() { return self != nullptr; }
Now now() { return {launches, block_number, self->linear, moment}; }
std::string who(const Now& at) {
  const int t = at.thread, x = blockDim.x, y = blockDim.y;
  const std::string thread = "thread " + name(uint3{unsigned(t % x), unsigned(t / x % y), unsigned(t / x / y)});
  const uint3 b = {unsigned(at.block % gridDim.x), unsigned(at.block / gridDim.x % gridDim.y),
                   unsigned(at.block / gridDim.x / gridDim.y)};
  return thread + " of block " + name(b);
}
bool is_before(const Now& then) {
  if (then.launch != launches) return true;
  if (then.block != block_number) return false;
  const int i = then.thread, j = self->linear;
  return i == j || then.moment < block_moment || (i / 32 == j / 32 && then.moment < warp_moments[i / 32][i % 32][j % 32]);
}
Region stack_memory() { return {stacks, stacks + MOST_THREADS * STACK}; }
Region host_stack() { return {host_frame, host_frame + (1 << 16)}; }
Region dynamic_memory() { return {dynamic_shared, dynamic_shared + dynamic_bytes}; }
Region section_memory() { return {__start_sn_shared, __stop_sn_shared}; }
void stop(const std::string& what) {
  failure = std::make_exception_ptr(std::runtime_error(what));
  self->state = Thread::GONE;
  to_scheduler(true);
  __builtin_unreachable();
}

// ---- The scheduler --------------------------------------------------------------------------------------------------------

// Fills shared memory with NaN or with huge numbers, so that neither a sum nor a maximum survives reading it. The section
// holds ASan's red zones too: plain stores, unchecked.
__attribute__((no_sanitize("address"))) static void spoil(char* from, char* to) {
  const char value = "\xff\x7b\xfb"[random_below(3)];
  for (volatile char* p = from; p < to; p++) *p = value;
}

static std::string waiting() {
  std::map<std::string, std::pair<int, std::string>> places;  // place -> how many wait there, and one of them
  for (const Thread& t : threads) {
    std::string place = "have left the kernel";
    const std::string where = t.where ? t.where : "";
    if (t.state == Thread::AT_BARRIER) place = "wait at __syncthreads in " + where + ":" + std::to_string(t.line);
    if (t.state == Thread::IN_WARP) {
      char mask[16];
      snprintf(mask, sizeof mask, "%08x", t.mask);
      place = "wait at " + where + " for the lanes " + mask;
    }
    auto& [count, example] = places[place];
    if (!count++) example = name(t.index);
  }
  std::string report = "deadlock in block " + name(blockIdx) + ": a barrier is not reached by all";
  for (const auto& [place, many] : places)
    report += "\n  " + std::to_string(many.first) + " threads " + place + ", such as thread " + many.second;
  return report;
}

// One warp, chosen at random, runs up to its next barrier before another one moves: a missing barrier then shows as stale or
// spoilt data. Within the warp the lanes take turns at random too.
static void run_warp(int first) {
  while (const unsigned lanes = ready[first / 32]) {
    const int turn = random_below(32);
    const unsigned turned = lanes >> turn | (turn ? lanes << (32 - turn) : 0);
    Thread& t = threads[first + (__builtin_ctz(turned) + turn) % 32];
    resume(t);
    self = nullptr;
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    if (t.state == Thread::GONE) forget(t.stack + STACK - LAST_FRAMES, LAST_FRAMES);
  }
}

static void run_block() {
  const int count = threads.size();
  block_moment = ++moment;
  for (int i = 0; i < count; i++) prepare(threads[i], i);
  std::vector<int> warps((count + 31) / 32);
  for (;;) {
    for (size_t i = 0; i < warps.size(); i++) {
      warps[i] = i;
      ready[i] = ~0u >> (32 - std::min<int>(32, count - i * 32));
    }
    std::shuffle(warps.begin(), warps.end(), random_bits);
    for (int warp : warps) run_warp(warp * 32);
    const auto in = [](int state) { return [state](const Thread& t) { return t.state == state; }; };
    if (std::all_of(threads.begin(), threads.end(), in(Thread::GONE))) return;
    for (const Thread& t : threads)
      if (t.state != Thread::AT_BARRIER || t.line != threads[0].line || t.where != threads[0].where) fail(waiting());
    some_vote = std::any_of(threads.begin(), threads.end(), [](const Thread& t) { return t.vote; });
    for (Thread& t : threads) t.state = Thread::READY;
    block_moment = ++moment;
  }
}

cudaError_t allow_dynamic_shared(const void* kernel, int bytes) {
  if (bytes < 0 || bytes > (int)MOST_DYNAMIC_SHARED) return cudaErrorInvalidValue;
  allowed_shared[kernel] = bytes;
  return cudaSuccess;
}

cudaError_t run(const cudaLaunchConfig_t& config, const void* kernel, const std::function<void()>& thread) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  const auto product = [](dim3 d) { return uint64_t(d.x) * d.y * d.z; };
  const auto allowed = allowed_shared.find(kernel);
  const size_t most_shared = allowed == allowed_shared.end() ? DYNAMIC_SHARED : allowed->second;
  if (product(block) == 0 || product(block) > MOST_THREADS || block.z > 64) return cudaErrorInvalidConfiguration;
  if (product(grid) == 0 || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidConfiguration;
  if (config.dynamicSmemBytes > most_shared) return cudaErrorInvalidValue;

  launches++;
  host_frame = (char*)__builtin_frame_address(0);
  body = &thread, gridDim = grid, blockDim = block;
  threads.resize(product(block));
  std::vector<uint64_t> order(product(grid));
  for (uint64_t i = 0; i < order.size(); i++) order[i] = i;
  std::shuffle(order.begin(), order.end(), random_bits);
  for (uint64_t i : order) {
    block_number = i;
    blockIdx = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
    spoil(__start_sn_shared, __stop_sn_shared);
    void* memory = nullptr;  // exact to the byte, so that ASan sees the first byte beyond
    if (posix_memalign(&memory, 128, config.dynamicSmemBytes)) fail("no memory for a block's shared memory");
    const std::unique_ptr<void, decltype(&free)> freed(memory, free);
    dynamic_shared = (char*)memory, dynamic_bytes = config.dynamicSmemBytes;
    spoil(dynamic_shared, dynamic_shared + config.dynamicSmemBytes);
    try {
      run_block();
    } catch (...) {
      forget(stacks, MOST_THREADS * STACK);
      throw;
    }
  }
  return cudaSuccess;
}

}  // namespace emulation

const char* cudaGetErrorString(cudaError_t error) {
  constexpr const char* NAMES[] = {"no error", "invalid configuration argument", "invalid argument"};
  return NAMES[error];
}
