// Pooling, rung 7: threads. A plane belongs to one of them: the same bits for any number of threads.
#include "cpu/ladder.h"
#include "cpu/parallel.h"
#include "ops/pool2d.h"

namespace scratchnet {
namespace {

// f(first, count) for parts of the planes; an image has `size` entries.
template <class F>
void split(int64_t planes, int64_t size, const F& f) {
  parallel_for(0, planes, 1 + GRAIN / 2 / (size + 1), [&](int64_t begin, int64_t end) { f(begin, end - begin); });
}

// A tensor from its i-th number on.
const void* from(const On& on, const void* data, int64_t i) { return (const char*)data + i * dtype_size(on.dtype); }
void* from(const On& on, void* data, int64_t i) { return (char*)data + i * dtype_size(on.dtype); }

}  // namespace

SN_DEFINE_RUNG(Pool2dKernels, pool2d_7) = {
    [](const On& on, const void* x, void* y, int64_t* index, int64_t planes, const Axis& rows, const Axis& columns) {
      const int64_t in = rows.in * columns.in, out = rows.out * columns.out;
      split(planes, in, [&](int64_t p, int64_t count) {
        pool2d_kernels(6).max_forward(on, from(on, x, p * in), from(on, y, p * out), index + p * out, count, rows, columns);
      });
    },
    [](const On& on, const void* grad, const int64_t* index, void* dx, int64_t planes, int64_t in, int64_t out) {
      bool wrong = false;
      split(planes, in, [&](int64_t p, int64_t count) {
        if (!pool2d_kernels(6).max_backward(on, from(on, grad, p * out), index + p * out, from(on, dx, p * in), count, in, out))
          __atomic_store_n(&wrong, true, __ATOMIC_RELAXED);
      });
      return !wrong;
    },
    [](const On& on, const void* x, void* y, int64_t planes, const Spans& rows, const Spans& columns) {
      const int64_t in = rows.in * columns.in, out = rows.out * columns.out;
      split(planes, in, [&](int64_t p, int64_t count) {
        pool2d_kernels(6).avg_forward(on, from(on, x, p * in), from(on, y, p * out), count, rows, columns);
      });
    },
    [](const On& on, const void* grad, void* dx, int64_t planes, const Spans& rows, const Spans& columns) {
      const int64_t in = rows.in * columns.in, out = rows.out * columns.out;
      split(planes, in, [&](int64_t p, int64_t count) {
        pool2d_kernels(6).avg_backward(on, from(on, grad, p * out), from(on, dx, p * in), count, rows, columns);
      });
    },
};

}  // namespace scratchnet
