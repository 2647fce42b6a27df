// What the compiler calls. Compiled with -fsanitize=thread, a reader's code calls a function of this file at each load and
// store; compiled with -fsanitize=bounds,alignment, at each bad index and address. No sanitizer's runtime is linked: this is in
// its place.
#include <stddef.h>

#include "threads.h"
#include "trace.h"

#define PC __builtin_return_address(0)
#define ACCESSES(name, bytes)                                                              \
  EXPORT void __tsan_read##name(void* p) { trace::access(p, bytes, false, PC); }           \
  EXPORT void __tsan_write##name(void* p) { trace::access(p, bytes, true, PC); }           \
  EXPORT void __tsan_unaligned_read##name(void* p) { trace::access(p, bytes, false, PC); } \
  EXPORT void __tsan_unaligned_write##name(void* p) { trace::access(p, bytes, true, PC); } \
  EXPORT void __tsan_volatile_read##name(void* p) { trace::access(p, bytes, false, PC); }  \
  EXPORT void __tsan_volatile_write##name(void* p) { trace::access(p, bytes, true, PC); }
ACCESSES(1, 1)
ACCESSES(2, 2)
ACCESSES(4, 4)
ACCESSES(8, 8)
ACCESSES(16, 16)
EXPORT void __tsan_read_range(void* p, size_t bytes) { trace::access(p, bytes, false, PC); }
EXPORT void __tsan_write_range(void* p, size_t bytes) { trace::access(p, bytes, true, PC); }
EXPORT void __tsan_vptr_update(void**, void*) {}
EXPORT void __tsan_vptr_read(void**) {}
EXPORT void __tsan_func_entry(void*) {}
EXPORT void __tsan_func_exit() {}
EXPORT void __tsan_init() {}

// std::atomic in a reader's C++: the operation itself, unrecorded.
#define ATOMICS(bits, T)                                                                                          \
  EXPORT T __tsan_atomic##bits##_load(const T* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }           \
  EXPORT void __tsan_atomic##bits##_store(T* p, T v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }           \
  EXPORT T __tsan_atomic##bits##_exchange(T* p, T v, int) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \
  EXPORT T __tsan_atomic##bits##_fetch_add(T* p, T v, int) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); } \
  EXPORT T __tsan_atomic##bits##_fetch_sub(T* p, T v, int) { return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); } \
  EXPORT int __tsan_atomic##bits##_compare_exchange_strong(T* p, T* seen, T v, int, int) {                        \
    return __atomic_compare_exchange_n(p, seen, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                    \
  }                                                                                                               \
  EXPORT int __tsan_atomic##bits##_compare_exchange_weak(T* p, T* seen, T v, int, int) {                          \
    return __atomic_compare_exchange_n(p, seen, v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                     \
  }
ATOMICS(8, int8_t)
ATOMICS(32, int32_t)
ATOMICS(64, int64_t)

// As GCC and Clang lay them out for their own runtime.
struct Source {
  const char* file;
  uint32_t line, column;
};
struct Type {
  uint16_t kind, info;
  char name[1];
};
struct BadIndex {
  Source at;
  Type *array, *index;
};
struct BadAddress {
  Source at;
  Type* type;
  unsigned char log_alignment, kind;
};
EXPORT void __ubsan_handle_out_of_bounds(BadIndex* data, uintptr_t index) {
  if (!emulation::running()) return;
  trace::found("out of bounds: " + emulation::who(emulation::now()) + " asks for [" + std::to_string((int64_t)index) + "] of " +
               data->array->name + ", in line " + std::to_string(data->at.line));
}
EXPORT void __ubsan_handle_type_mismatch_v1(BadAddress* data, uintptr_t address) {
  if (!emulation::running() || address % (1 << data->log_alignment) == 0) return;
  trace::found("misaligned: " + emulation::who(emulation::now()) + " takes " + data->type->name +
               " from an address that is not a multiple of " + std::to_string(1 << data->log_alignment) + " bytes, in line " +
               std::to_string(data->at.line));
}
