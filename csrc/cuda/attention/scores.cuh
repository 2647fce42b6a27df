// What all rungs of attention compute of one query and one key: their score, and what it passes back. In double but for
// products that a rung has made in another type.
#pragma once
#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/scalar.cuh"
#include "ops/attention.h"

namespace scratchnet {
namespace {

constexpr int THREADS = 128;

template <class T>
__device__ double dot(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t n) {
  double sum = 0;
  for (int64_t e = 0; e < n; e++) sum += double(load1(a + e * a_step)) * double(load1(b + e * b_step));
  return sum;
}
template <class T>
__device__ const T* at(const Heads& t, int64_t b, int64_t h, int64_t i) {
  return (const T*)t.data + t.offset(b, h, i);
}

struct Score {
  double value, slope;  // slope: the softcap's derivative
};

// `product`: q . k
template <class T>
__device__ Score score_of(const Attention& p, int64_t b, int64_t h, int64_t i, int64_t j, double product) {
  double x = p.scale * product, slope = 1;
  if (p.softcap > 0) {
    const double t = tanh(x / p.softcap);
    x = p.softcap * t, slope = 1 - t * t;
  }
  if (!p.mask.data) return {x, slope};
  const int64_t place = p.mask.offset(b, h, i) + j * p.mask.column;
  if (!p.boolean) return {x + load1((const T*)p.mask.data + place), slope};
  return {((const uint8_t*)p.mask.data)[place] ? x : -INFINITY, slope};
}

template <class T>
__device__ Score score(const Attention& p, int64_t b, int64_t h, int64_t i, int64_t j) {
  const T *query = at<T>(p.q, b, h, i), *key = at<T>(p.k, b, p.group(h), j);
  return score_of<T>(p, b, h, i, j, dot(query, p.q.column, key, p.k.column, p.size));
}

template <class T>
__device__ double sink(const Attention& p, int64_t h) {
  return p.sinks ? double(load1((const T*)p.sinks + h)) : -INFINITY;
}

__device__ double kept(const Attention& p, int64_t b, int64_t h, int64_t i, int64_t j) {
  return p.seed ? Dropout(p.dropout).factor(dropout_key(*p.seed, p.row(b, h, i)), j) : 1;
}

template <class T>
__device__ double delta_of(const AttentionBackward& p, int64_t b, int64_t h, int64_t i) {
  const T* const y = (const T*)p.y + ((b * p.queries + i) * p.heads + h) * p.value_size;
  return dot(at<T>(p.grad, b, h, i), p.grad.column, y, 1, p.value_size);
}

struct Terms {
  double dropped, of_score, of_product;  // z p, and the gradients of the score and of q . k; 0 for a key that is not seen
};

template <class T>
__device__ Terms terms(const AttentionBackward& p, int64_t b, int64_t h, int64_t i, int64_t j, double delta) {
  const Span seen = p.visible(i);
  if (j < seen.begin || j >= seen.end) return {0, 0, 0};
  const Score s = score<T>(p, b, h, i, j);
  const double w = exp(s.value - p.lse[p.row(b, h, i)]), z = kept(p, b, h, i, j);
  const double dp = z * dot(at<T>(p.grad, b, h, i), p.grad.column, at<T>(p.v, b, p.group(h), j), p.v.column, p.value_size);
  const double ds = w * (dp - delta);
  return {z * w, ds, ds * s.slope * p.scale};
}

}  // namespace
}  // namespace scratchnet
