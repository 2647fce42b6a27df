// What the trace counts, and where a launch reports what ended it.
#pragma once
#include <stdint.h>

#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace trace {

constexpr int CACHE_LINES = 64;  // of 64 bytes: small enough that an exercise's arrays do not fit

struct Counts {
  int64_t accesses;    // loads and stores of arrays
  int64_t bytes;       // that they moved
  int64_t misses;      // of a cache of CACHE_LINES lines: C++ only
  int64_t sectors;     // of 32 bytes that warps moved: CUDA only
  int64_t shared;      // accesses to shared memory: CUDA only
  int64_t threads;     // of the CPU that wrote arrays
  int64_t contested;   // stores by threads of the CPU to cache lines that several of them write
  int64_t aliases;     // loads that wait for a store to another address with the same last 12 bits: C++ only
  int64_t subnormals;  // loads of float32 numbers between 0 and 1.18e-38: C++ only
};

void access(void* p, int64_t bytes, bool write, const void* pc);
void found(const std::string& what);  // the first one is kept; in a kernel the thread stops, and its launch

}  // namespace trace

void sn_trace_fault(const std::string& what);  // the first one is kept
bool sn_trace_failed();
