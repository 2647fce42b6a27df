// What the scheduler knows about the thread that runs, for trace.cpp.
#pragma once
#include <stdint.h>

#include <string>

namespace emulation {

struct Now {
  long launch;
  int64_t block;
  int thread;  // of the block
  long moment;
};
struct Region {
  char *from, *to;
  bool has(const void* p) const { return p >= from && p < to; }
};

bool running();                                   // whether a kernel runs, and not the host
Now now();                                        // who runs, and when
std::string who(const Now& at);                   // of the launch that runs
bool is_before(const Now& then);                  // whether all that happened then is seen by the thread that runs
Region stack_memory();                            // of all threads of a block
Region host_stack();                              // which has a launch's arguments
Region section_memory();                          // __shared__ variables of a size that the compiler knows
Region dynamic_memory();                          // extern __shared__
[[noreturn]] void stop(const std::string& what);  // the thread that runs ends, and its launch with it

}  // namespace emulation
