// gather, rung 7: a row of an embedding's gradient is added up in registers.
//
//   backward  dweight[k][j] = sum of grad[i][j] over all i with index[i] = k
//
// Rung 4 keeps the sums of a row in the cache: each term loads and stores all of them again. Here a part of the row stays in
// registers until its last term; the rows of grad that come next are fetched ahead, and a large dweight is written past the
// cache (sums_of_rows.h). Tables of 1,000 and 32,000 rows of 64 or 512 floats take one core (Zen 5, AVX-512) half to two thirds
// of rung 6's time.
#include "cpu/ladder.h"
#include "index.h"
#include "ops/gather.h"
#include "sums_of_rows.h"

namespace scratchnet {
namespace {

template <class T>
bool embedding_backward(const T* grad, const int64_t* index, const T* base, T* dweight, int64_t rows, int64_t columns,
                        int64_t n, int64_t padding, bool by_count) {
  using A = acc_t<T>;
  if (!inside(index, n, rows)) return false;
  const ByRow by_row(index, n, rows);
  const auto term = [&](int64_t i) SN_LAMBDA_INLINE {
    const int64_t p = by_row.order.data()[i];
    return Term<T>{index[p] == padding ? nullptr : grad + p * columns, A(1)};
  };
  sum_rows(by_row.start.data(), rows, columns, base, dweight, term, [&](int64_t k) {
    const int64_t count = by_row.first(k + 1) - by_row.first(k);
    return by_count && count ? A(1) / count : A(1);
  });
  return true;
}

}  // namespace

SN_DEFINE_RUNG(GatherKernels, gather_7) = {
    SN_FROM(gather_kernels(6), gather_forward),
    SN_FROM(gather_kernels(6), gather_backward),
    SN_FROM(gather_kernels(6), embedding_forward),
    SN_TYPED(embedding_backward),
};

}  // namespace scratchnet
