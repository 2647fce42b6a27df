// Memory for large results and large scratch: on huge pages, and kept when it is freed, for the next one.
//
// The system zeroes a page before a program sees it, and takes it back when it is freed: for a result of 50 MB that is 12,000
// page faults, 20 ms here, six times what LayerNorm needs to fill it; 4 ms on huge pages; nothing for memory that was kept.
#pragma once
#include <stdint.h>

namespace scratchnet {
constexpr int64_t HUGE_PAGE = 1 << 21;
#ifdef __SANITIZE_ADDRESS__
constexpr int64_t LARGE = INT64_MAX;  // never: AddressSanitizer watches what comes from malloc
#else
constexpr int64_t LARGE = 2 * HUGE_PAGE;  // bytes from which this pays; smaller memory comes warm from malloc
#endif
}  // namespace scratchnet

// At least `bytes`, from the start of a huge page, not initialised; null if the system has none.
void* sn_take_pages(int64_t bytes);

// Keeps the memory for the next one; false, and nothing done, if sn_take_pages did not give it. What is kept and what is in use
// are together never more than was once in use: the next one gets a part of what is larger, and the pages of several smaller
// ones, which Linux moves to where they are wanted; only what is then missing is new. What nobody took for a tenth of a second
// is marked, at the next call, as the system's to take if it runs short; of more than 64 MB so is the rest at once.
bool sn_give_pages(void* memory);

// Returns all that is kept to the system: the number of bytes.
int64_t sn_release_kept_pages();
