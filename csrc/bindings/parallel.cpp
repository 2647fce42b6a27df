// csrc/cpu/parallel.h on torch's own thread pool: torch.set_num_threads is obeyed, and there is no second pool.
#include "parallel.h"

#include <torch/csrc/stable/ops.h>

void sn_parallel_for(int64_t begin, int64_t end, int64_t grain, void (*body)(void* context, int64_t begin, int64_t end),
                     void* context) {
  if (end <= begin) return;
  if (end - begin <= grain) return body(context, begin, end);
  torch::stable::parallel_for(begin, end, grain, [&](int64_t from, int64_t to) { body(context, from, to); });
}

int64_t sn_num_threads() { return torch::stable::get_num_threads(); }
