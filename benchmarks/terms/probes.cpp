// What a CPU does, one effect at a time: each function does the same work in a slow and in a fast way, and Python takes the
// time (cpu.py). Compiled with -O2 -march=native, which keeps the order of additions.
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PROBE extern "C" __attribute__((visibility("default")))

typedef float Vector __attribute__((vector_size(32)));  // 8 lanes

// ---- The core -----------------------------------------------------------------------------------------------------------

template <int CHAINS>
double chains_of(int64_t n) {
  volatile float half = 0.5, one = 1;  // volatile: or the compiler would compute the result itself
  Vector x[CHAINS], a = half - Vector{}, b = one - Vector{};
  for (int c = 0; c < CHAINS; c++) x[c] = float(c) - Vector{};  // or the compiler would make one chain of equal ones
  for (int64_t i = 0; i < n; i += CHAINS)
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++) x[c] = x[c] * a + b;
  for (int c = 1; c < CHAINS; c++) x[0] += x[c];
  return x[0][0];
}
// n multiply-adds, in 12 chains or in one where each waits for the one before.
PROBE double chains(int64_t n, int64_t one) { return one ? chains_of<1>(n) : chains_of<12>(n); }

template <int SUMS>
double sum_of(const float* x, int64_t n) {
  float sum[SUMS] = {};
  for (int64_t i = 0; i + SUMS <= n; i += SUMS)
#pragma GCC unroll 8
    for (int s = 0; s < SUMS; s++) sum[s] += x[i + s];
  for (int s = 1; s < SUMS; s++) sum[0] += sum[s];
  return sum[0];
}
// The sum of x, in one accumulator or in 8.
PROBE double sum(const float* x, int64_t n, int64_t one) { return one ? sum_of<1>(x, n) : sum_of<8>(x, n); }

// The sum of x, lanes added up after every vector or once at the end.
PROBE double lanes(const float* x, int64_t n, int64_t each) {
  Vector v, total = {};
  float sum = 0;
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    memcpy(&v, x + i, sizeof v);
    if (each) sum += ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
    else total += v;
  }
  for (int lane = 0; lane < 8; lane++) sum += total[lane];
  return sum;
}

// The sum of n numbers of a small x: by the gather instruction, or by plain loads of neighbours.
PROBE double gathered(const float* x, const int32_t* index, int64_t n, int64_t gather) {
  Vector total = {}, v;
  for (int64_t i = 0; i + 8 <= n; i += 8) {
#if defined(__AVX2__)
    if (gather) v = (Vector)_mm256_i32gather_ps(x, _mm256_loadu_si256((const __m256i*)(index + i)), 4);
    else memcpy(&v, x + index[i], sizeof v);
#else
    for (int lane = 0; lane < 8; lane++) v[lane] = gather ? x[index[i + lane]] : x[index[i] + lane];
#endif
    total += v;
  }
  return total[0];
}

// How many of x are positive, by a branch.
PROBE double branches(const float* x, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++)
    if (x[i] > 0) {
      asm volatile("" ::: "memory");  // a branch, not a conditional move
      count++;
    }
  return count;
}

// A number goes n times through memory: stored in two halves and loaded as a whole, or stored as a whole too.
PROBE double through_memory(int64_t n, int64_t halves) {
  alignas(8) uint32_t memory[2];
  uint64_t x = 1;
  for (int64_t i = 0; i < n; i++) {
    if (halves) {
      memory[0] = x;
      asm volatile("" ::: "memory");
      memory[1] = x >> 32;
    } else {
      memcpy(memory, &x, 8);
    }
    asm volatile("" ::: "memory");
    memcpy(&x, memory, 8);
  }
  return x;
}

// n products, each below the least normal number or not.
PROBE double products(int64_t n, int64_t subnormal) {
  volatile float start = subnormal ? 1e-30f : 1e-3f;
  const float x = start;
  float y = 1e-9f;
  for (int64_t i = 0; i < n; i++) {
    y = x * y;
    asm volatile("" : "+x"(y));
    y += 1e-9f;
  }
  return y;
}

// ---- Memory -------------------------------------------------------------------------------------------------------------

// Every step-th number of x; 8 sums.
PROBE double every(const float* x, int64_t n, int64_t step) {
  float sum[8] = {};
  for (int64_t i = 0; i + 8 * step <= n; i += 8 * step)
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++) sum[s] += x[i + s * step];
  for (int s = 1; s < 8; s++) sum[0] += sum[s];
  return sum[0];
}

// `steps` loads, each of which says where the next one is.
PROBE double chase(const int32_t* next, int64_t steps) {
  int32_t at = 0;
  for (int64_t i = 0; i < steps; i++) at = next[at];
  return at;
}
// The same places, known in advance.
PROBE double visit(const int32_t* next, const int32_t* places, int64_t steps) {
  int64_t sum = 0;
  for (int64_t i = 0; i < steps; i++) sum += next[places[i]];
  return sum;
}

// A polynomial of the rows `order` of x, 64 numbers each; with the row eight places ahead on its way, or without.
PROBE double rows(const float* x, const int32_t* order, int64_t n, int64_t ahead) {
  Vector total = {}, v;
  for (int64_t r = 0; r + 8 < n; r++) {
    if (ahead)
      for (int64_t line = 0; line < 4; line++) __builtin_prefetch(x + order[r + 8] * 64 + line * 16);
    for (int64_t j = 0; j < 64; j += 8) {
      memcpy(&v, x + order[r] * 64 + j, sizeof v);
      Vector p = v;
#pragma GCC unroll 16
      for (int i = 0; i < 16; i++) p = p * v + 0.5f;
      total += p;
    }
  }
  return total[0];
}

// 48 numbers `step` apart, `rounds` times.
PROBE double column(const float* x, int64_t step, int64_t rounds) {
  float sum[8] = {};
  for (int64_t r = 0; r < rounds; r++)
    for (int64_t i = 0; i < 48; i += 8)
#pragma GCC unroll 8
      for (int s = 0; s < 8; s++) sum[s] += *(const volatile float*)(x + (i + s) * step);
  return sum[0] + sum[1];
}

// A vector from each of 64 cache lines, `offset` bytes behind its start, `rounds` times.
PROBE double loads(const char* x, int64_t offset, int64_t rounds) {
  Vector total[8] = {}, v;
  for (int64_t r = 0; r < rounds; r++) {
    asm volatile("" ::: "memory");
#pragma GCC unroll 8
    for (int64_t line = 0; line < 64; line++) {
      memcpy(&v, x + line * 64 + offset, sizeof v);
      total[line % 8] += v;
    }
  }
  for (int i = 1; i < 8; i++) total[0] += total[i];
  return total[0][0];
}

// y = 1, through the cache or past it.
PROBE double fill(float* y, int64_t n, int64_t stream) {
#if defined(__x86_64__)
  const __m128 one = _mm_set1_ps(1);
  for (int64_t i = 0; i + 4 <= n; i += 4) {
    if (stream) _mm_stream_ps(y + i, one);
    else _mm_store_ps(y + i, one);
  }
  _mm_sfence();
#else
  for (int64_t i = 0; i < n; i++) y[i] = 1;
#endif
  return y[0];
}

// One byte written to every 4,096 of fresh memory, on small or on huge pages.
PROBE double touch(int64_t bytes, int64_t huge) {
  const int64_t PAGE = 1 << 21;
  char* const memory = (char*)mmap(nullptr, bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == (char*)MAP_FAILED) return -1;
  char* const from = memory + (PAGE - (intptr_t)memory % PAGE) % PAGE;
  madvise(from, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  for (int64_t i = 0; i < bytes; i += 4096) *(volatile char*)(from + i) = 1;
  munmap(memory, bytes + PAGE);
  return 0;
}

// ---- Threads ------------------------------------------------------------------------------------------------------------

// The calling thread stays on the index-th of its CPUs until the end.
struct Pinned {
  cpu_set_t before;
  explicit Pinned(int index) {
    sched_getaffinity(0, sizeof before, &before);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
      if (CPU_ISSET(cpu, &before) && index-- == 0) CPU_SET(cpu, &one);
    if (CPU_COUNT(&one)) sched_setaffinity(0, sizeof one, &one);
  }
  ~Pinned() { sched_setaffinity(0, sizeof before, &before); }
};

// On two threads, each on a CPU of its own, at the same time.
template <class Work>
void twice(const Work& work) {
  std::atomic<int> ready = 0;
  const auto run = [&](int64_t thread) {
    const Pinned pinned(thread);
    ready++;
    while (ready < 2) std::this_thread::yield();
    work(thread);
  };
  std::thread other([&] { run(1); });
  run(0);
  other.join();
}

// Two threads add 1 to a number of their own n times, in memory and not in a buffer before it; the numbers are `apart` x 8
// bytes apart.
PROBE double counters(int64_t n, int64_t apart) {
  alignas(64) static std::atomic<int64_t> memory[64];
  twice([&](int64_t thread) {
    for (int64_t i = 0; i < n; i++) memory[thread * apart].fetch_add(1, std::memory_order_relaxed);
  });
  return memory[0];
}

// One thread adds 1 n times, by an atomic addition or by a load and a store.
PROBE double additions(int64_t n, int64_t atomic) {
  static std::atomic<int64_t> x;
  for (int64_t i = 0; i < n; i++) {
    if (atomic) x.fetch_add(1, std::memory_order_relaxed);
    else x.store(x.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  return x;
}

// Two threads add 1 to the same number n times each, by a load and a store: how many of the 2 n additions got lost.
PROBE double lost(int64_t n) {
  std::atomic<int64_t> x = 0;
  twice([&](int64_t) {
    for (int64_t i = 0; i < n; i++) x.store(x.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  });
  return 2 * n - x;
}

// Two threads hand a turn to one another n times: the one that waits looks again and again, or sleeps.
PROBE double turns(int64_t n, int64_t spin) {
  std::atomic<int64_t> turn = 0;
  std::mutex mutex;
  std::condition_variable changed;
  twice([&](int64_t thread) {
    for (int64_t i = thread; i < 2 * n; i += 2) {
      if (spin) {
        while (turn.load(std::memory_order_acquire) != i) continue;
        turn.store(i + 1, std::memory_order_release);
      } else {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return turn == i; });
        turn++;
        changed.notify_one();
      }
    }
  });
  return turn;
}

// n threads, one after the other, each created and waited for.
PROBE double threads(int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) std::thread([&] { count++; }).join();
  return count;
}
