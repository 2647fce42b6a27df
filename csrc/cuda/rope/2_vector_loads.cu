// Rotary embedding, rung 2: 128 bits per load and store, one launch for query and key, angles that stay in registers.
//
//   forward   y_a = x_a cos_a - x_b sin_a,    y_b = x_b cos_b + x_a sin_b         reads 1, writes 1 tensor
//   inverse   x_a = y_a cos_a + y_b sin_b,    x_b = y_b cos_b - y_a sin_a         the same: the backward
#include "cuda/device.cuh"
#include "cuda/ladder.h"
#include "cuda/launch.cuh"
#include "cuda/tile.cuh"
#include "ops/rope.h"

namespace scratchnet {
namespace {

// As many angles as a pack has numbers: for 16-bit types two packs of float.
template <class T>
__device__ __forceinline__ Pack<T> load_angles(const acc_t<T>* p, int64_t count, bool aligned) {
  constexpr int N = LANES<acc_t<T>>;
  Pack<T> angles;
#pragma unroll
  for (int i = 0; i < LANES<T>; i += N) {
    const Pack<acc_t<T>> part = load(p + i, count - i, aligned);
#pragma unroll
    for (int k = 0; k < N; k++) angles.lane[i + k] = part.lane[k];
  }
  return angles;
}

// A thread has one pack of columns of one token, in the halves one of each, and walks over the heads. Packs behind `rotary` are
// copied.
template <class T, bool interleaved>
__global__ void __launch_bounds__(TILE_THREADS, TILE_RESIDENT)
    rope_rotate_kernel(const __grid_constant__ Rope p, bool aligned) {
  constexpr int N = LANES<T>;
  const int64_t width = interleaved ? p.rotary : p.rotary / 2, turned = ceil_div(width, N);
  const int64_t packs = turned + ceil_div(p.columns - p.rotary, N), n = thread_index();
  const int64_t pack = n % packs, t = n / packs % p.tokens, b = n / packs / p.tokens;
  if (b >= p.batch) return;
  const int64_t row = p.row(b, t);
  SN_ASSERT(!p.positions || (0 <= row && row < p.rows));
  if (pack >= turned) {
    const int64_t j = p.rotary + (pack - turned) * N;
    for (const RopeHeads& part : p.part)
      for (int64_t h = blockIdx.y; part.y && h < part.heads; h += gridDim.y)
        copy(part.to<T>(b, h, t) + j, part.from<T>(b, h, t) + j, p.columns - j, aligned);
    return;
  }
  const int64_t j = pack * N, left = width - j;
  const acc_t<T>*cos = p.angles<acc_t<T>>(p.cos, b, row) + j, *sin = p.angles<acc_t<T>>(p.sin, b, row) + j;
  const Pack<T> cos_a = load_angles<T>(cos, left, aligned), sin_a = load_angles<T>(sin, left, aligned);
  if constexpr (interleaved) {
    for (const RopeHeads& part : p.part)
      for (int64_t h = blockIdx.y; part.y && h < part.heads; h += gridDim.y) {
        Pack<T> v = load(part.from<T>(b, h, t) + j, left, aligned);
#pragma unroll
        for (int k = 0; k < N; k += 2) {
          const acc_t<T> x_a = v.lane[k], x_b = v.lane[k + 1];
          v.lane[k] = x_a * cos_a.lane[k] - x_b * (p.inverse ? -sin_a.lane[k + 1] : sin_a.lane[k]);
          v.lane[k + 1] = x_b * cos_a.lane[k + 1] + x_a * (p.inverse ? -sin_a.lane[k] : sin_a.lane[k + 1]);
        }
        store(part.to<T>(b, h, t) + j, v, left, aligned);
      }
  } else {
    const Pack<T> cos_b = load_angles<T>(cos + width, left, aligned), sin_b = load_angles<T>(sin + width, left, aligned);
    for (const RopeHeads& part : p.part)
      for (int64_t h = blockIdx.y; part.y && h < part.heads; h += gridDim.y) {
        const T* x = part.from<T>(b, h, t) + j;
        T* y = part.to<T>(b, h, t) + j;
        Pack<T> v = load(x, left, aligned), w = load(x + width, left, aligned);
#pragma unroll
        for (int k = 0; k < N; k++) {
          const acc_t<T> x_a = v.lane[k], x_b = w.lane[k];
          v.lane[k] = x_a * cos_a.lane[k] - x_b * (p.inverse ? -sin_b.lane[k] : sin_a.lane[k]);
          w.lane[k] = x_b * cos_b.lane[k] + x_a * (p.inverse ? -sin_a.lane[k] : sin_b.lane[k]);
        }
        store(y, v, left, aligned);
        store(y + width, w, left, aligned);
      }
  }
}

// Whether each pack begins at a multiple of 16 bytes.
template <class T>
bool packs_are_aligned(const Rope& p) {
  const auto whole = [](auto... numbers) { return (... && (numbers % LANES<T> == 0)); };
  bool wide = whole(p.interleaved ? p.rotary : p.rotary / 2, p.cos.batch, p.cos.row, p.sin.batch, p.sin.row) &&
              aligned(0, (const float*)p.cos.p, (const float*)p.sin.p);
  for (const RopeHeads& s : p.part)
    if (s.y)
      wide = wide && whole(s.x_batch, s.x_head, s.x_token, s.y_batch, s.y_head, s.y_token) && aligned(0, (T*)s.x, (T*)s.y);
  return wide;
}

template <class T>
bool rotate(const Launch& on, const Rope& p) {
  const int64_t width = p.interleaved ? p.rotary : p.rotary / 2;
  const int64_t packs = ceil_div(width, LANES<T>) + ceil_div(p.columns - p.rotary, LANES<T>);
  Grid grid = elementwise(p.batch * p.tokens * packs, TILE_THREADS);
  if (grid.blocks.x)  // few tokens: the heads are shared out
    grid.blocks.y = max(1, min(max(p.part[0].heads, p.part[1].heads), ceil_div(TILE_BLOCKS, grid.blocks.x)));
  const auto kernel = p.interleaved ? rope_rotate_kernel<T, true> : rope_rotate_kernel<T, false>;
  launch(on, "rope", kernel, grid, p, packs_are_aligned<T>(p));
  return true;
}

}  // namespace

SN_DEFINE_RUNG(RopeKernels, rope_2) = {SN_TYPED(rotate)};

}  // namespace scratchnet
