// Attention, rung 1: one thread per number of a result. Each walks along the keys (or the queries) that this number depends on
// and computes every score on its way anew, in double; none of them is stored.
//
//   forward   y_ie   online softmax over the keys: the largest score m, l = sum of exp(s - m), o = sum of exp(s - m) v_e
//   backward  dq_ie, dk_je, dv_je, dmask_ij, dsink from p = exp(s - lse) and delta = g . y
#include "scores.cuh"

namespace scratchnet {
namespace {

// y (batches, queries, heads, value_size); where values have no size, one thread for each query writes lse.
template <class T>
__global__ void attention_forward_kernel(const __grid_constant__ AttentionForward p) {
  const int64_t n = thread_index(), size = max(1, p.value_size), e = n % size;
  if (n >= p.batches * p.queries * p.heads * size) return;
  const int64_t h = n / size % p.heads, i = n / size / p.heads % p.queries, b = n / size / p.heads / p.queries;
  const bool has_value = p.value_size > 0;
  const Span seen = p.visible(i);
  double m = sink<T>(p, h), l = m == -INFINITY ? 0 : 1, o = 0;
  for (int64_t j = seen.begin; j < seen.end; j++) {
    const double s = score<T>(p, b, h, i, j).value;
    if (s > m || isnan(s)) {
      const double shrink = m == -INFINITY ? 0 : exp(m - s);
      l *= shrink, o *= shrink, m = s;
    }
    const double w = m == -INFINITY ? 0 : exp(s - m);
    l += w;
    if (has_value) o += kept(p, b, h, i, j) * w * load1(at<T>(p.v, b, p.group(h), j) + e * p.v.column);
  }
  if (has_value) store1((T*)p.y + n, acc_t<T>(l == 0 ? 0 : o / l));
  if (e == 0) p.lse[p.row(b, h, i)] = l == 0 ? INFINITY : m + log(l);
}

template <class T>
void forward(const Launch& on, const AttentionForward& p) {
  const Grid grid = elementwise(p.batches * p.queries * p.heads * max(1, p.value_size), THREADS);
  launch(on, "attention_forward", attention_forward_kernel<T>, grid, p);
}

// ---- backward -----------------------------------------------------------------------------------------------------------

template <class T>
__global__ void attention_backward_queries_kernel(const __grid_constant__ AttentionBackward p) {
  const int64_t n = thread_index(), e = n % p.size, row = n / p.size;
  if (n >= p.batches * p.heads * p.queries * p.size) return;
  const int64_t i = row % p.queries, h = row / p.queries % p.heads, b = row / p.queries / p.heads;
  const Span seen = p.visible(i);
  double sum = 0;
  for (int64_t j = seen.begin; j < seen.end; j++)
    sum += terms<T>(p, b, h, i, j, delta_of<T>(p, b, h, i)).of_product * load1(at<T>(p.k, b, p.group(h), j) + e * p.k.column);
  store1((T*)p.dq + n, acc_t<T>(sum));
}

// dk, or dv
template <class T, bool VALUES>
__global__ void attention_backward_keys_kernel(const __grid_constant__ AttentionBackward p) {
  const int64_t size = VALUES ? p.value_size : p.size, n = thread_index(), e = n % size, row = n / size;
  if (n >= p.batches * p.groups * p.keys * size) return;
  const int64_t j = row % p.keys, g = row / p.keys % p.groups, b = row / p.keys / p.groups, share = p.heads / p.groups;
  const Heads& from = VALUES ? p.grad : p.q;
  double sum = 0;
  for (int64_t h = g * share; h < (g + 1) * share; h++)
    for (int64_t i = 0; i < p.queries; i++) {
      const Terms t = terms<T>(p, b, h, i, j, delta_of<T>(p, b, h, i));
      sum += (VALUES ? t.dropped : t.of_product) * load1(at<T>(from, b, h, i) + e * from.column);
    }
  store1((T*)(VALUES ? p.dv : p.dk) + n, acc_t<T>(sum));
}

// A number of a mask that was broadcast sums up all that it was added to.
template <class T>
__global__ void attention_backward_mask_kernel(const __grid_constant__ AttentionBackward p) {
  const int64_t* size = p.mask_sizes;
  int64_t n = thread_index(), from[4], to[4];
  if (n >= size[0] * size[1] * size[2] * size[3]) return;
  const int64_t whole[] = {p.batches, p.heads, p.queries, p.keys};
  for (int d = 3; d >= 0; d--) {
    const int64_t place = n % size[d];
    n /= size[d];
    from[d] = size[d] == 1 ? 0 : place, to[d] = size[d] == 1 ? whole[d] : place + 1;
  }
  double sum = 0;
  for (int64_t b = from[0]; b < to[0]; b++)
    for (int64_t h = from[1]; h < to[1]; h++)
      for (int64_t i = from[2]; i < to[2]; i++)
        for (int64_t j = from[3]; j < to[3]; j++) sum += terms<T>(p, b, h, i, j, delta_of<T>(p, b, h, i)).of_score;
  store1((T*)p.dmask + thread_index(), acc_t<T>(sum));
}

template <class T>
__global__ void attention_backward_sinks_kernel(const __grid_constant__ AttentionBackward p) {
  const int64_t h = thread_index();
  if (h >= p.heads) return;
  double sum = 0;
  for (int64_t b = 0; b < p.batches; b++)
    for (int64_t i = 0; i < p.queries; i++) sum -= exp(sink<T>(p, h) - p.lse[p.row(b, h, i)]) * delta_of<T>(p, b, h, i);
  store1((T*)p.dsinks + h, acc_t<T>(sum));
}

template <class T>
void backward(const Launch& on, const AttentionBackward& p) {
  const char* name = "attention_backward";
  const int64_t rows = p.batches * p.groups * p.keys, *size = p.mask_sizes;
  const int64_t queries = p.batches * p.heads * p.queries;
  if (p.dq) launch(on, name, attention_backward_queries_kernel<T>, elementwise(queries * p.size, THREADS), p);
  if (p.dk) launch(on, name, attention_backward_keys_kernel<T, false>, elementwise(rows * p.size, THREADS), p);
  if (p.dv) launch(on, name, attention_backward_keys_kernel<T, true>, elementwise(rows * p.value_size, THREADS), p);
  if (p.dmask)
    launch(on, name, attention_backward_mask_kernel<T>, elementwise(size[0] * size[1] * size[2] * size[3], THREADS), p);
  if (p.dsinks) launch(on, name, attention_backward_sinks_kernel<T>, elementwise(p.heads, THREADS), p);
}

}  // namespace

SN_DEFINE_RUNG(AttentionKernels, attention_1) = {SN_TYPED(forward), SN_TYPED(backward)};

}  // namespace scratchnet
