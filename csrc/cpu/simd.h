// The vector types of one instruction set, and the functions that the kernels need on them.
//
// GCC's and Clang's vector extensions give + - * / < ?: on whole registers; this header adds loads and stores with conversion
// from 16 bits, reductions, and exp and the normal distribution as polynomials with stated errors. It is compiled once per
// instruction set and lives in an anonymous namespace (see cpu/ladder.h).
#pragma once
#include <math.h>

#include "cpu/scalar.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define SN_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define SN_VECTOR_BYTES 32
#else
#define SN_VECTOR_BYTES 16
#endif

#define SN_LAMBDA_INLINE __attribute__((always_inline))

namespace scratchnet {
namespace {

template <class A>
struct Simd;
template <>
struct Simd<float> {
  typedef float V __attribute__((vector_size(SN_VECTOR_BYTES)));
  typedef int32_t I __attribute__((vector_size(SN_VECTOR_BYTES)));
  typedef uint32_t U __attribute__((vector_size(SN_VECTOR_BYTES)));
};
template <>
struct Simd<double> {
  typedef double V __attribute__((vector_size(SN_VECTOR_BYTES)));
  typedef int64_t I __attribute__((vector_size(SN_VECTOR_BYTES)));
};
typedef uint16_t Halves __attribute__((vector_size(SN_VECTOR_BYTES / 2)));  // as many 16-bit values as a vector has floats

template <class A>
using vec = typename Simd<A>::V;  // a register of floats or doubles
template <class A>
constexpr int64_t lanes = SN_VECTOR_BYTES / sizeof(A);

template <class A>
SN_INLINE vec<A> splat(A x) {
  return x - vec<A>{};  // x - 0 = x, also for -0.0
}

// ---- loads and stores of lanes<acc_t<T>> values; n < lanes in the *_tail forms, the missing lanes load as zero ---------

SN_INLINE vec<float> load(const float* p) {
  vec<float> v;
  memcpy(&v, p, sizeof v);
  return v;
}
SN_INLINE vec<double> load(const double* p) {
  vec<double> v;
  memcpy(&v, p, sizeof v);
  return v;
}
SN_INLINE vec<float> load(const bf16* p) {
#if defined(__AVX512F__)  // one instruction; GCC 12 makes four of the conversion below
  return (vec<float>)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16);
#elif defined(__aarch64__)
  return (vec<float>)vshll_n_u16(vld1_u16(&p->bits), 16);
#else
  Halves h;
  memcpy(&h, p, sizeof h);
  return (vec<float>)(__builtin_convertvector(h, Simd<float>::U) << 16);
#endif
}
SN_INLINE vec<float> load(const f16* p) {
#if defined(__AVX512F__)
  return (vec<float>)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
#elif defined(__AVX2__)
  return (vec<float>)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
#elif defined(__aarch64__)
  return (vec<float>)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits)));
#else
  vec<float> v;
  for (int i = 0; i < lanes<float>; i++) v[i] = to_float(p[i]);
  return v;
#endif
}

SN_INLINE void store(float* p, vec<float> v) { memcpy(p, &v, sizeof v); }
SN_INLINE void store(double* p, vec<double> v) { memcpy(p, &v, sizeof v); }
SN_INLINE void store(bf16* p, vec<float> v) {
  const auto u = (Simd<float>::U)v;
  const auto rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  const auto bits = v != v ? (u >> 16) | 0x40 : rounded;  // NaN stays NaN
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16((__m512i)bits));
#else
  const Halves h = __builtin_convertvector(bits, Halves);
  memcpy(p, &h, sizeof h);
#endif
}
SN_INLINE void store(f16* p, vec<float> v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#elif defined(__AVX2__)
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__)
  vst1_u16(&p->bits, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v)));
#else
  for (int i = 0; i < lanes<float>; i++) p[i] = to_f16(v[i]);
#endif
}

template <class T>
SN_INLINE vec<acc_t<T>> load_tail(const T* p, int64_t n) {
  T buffer[lanes<acc_t<T>>] = {};
  for (int64_t i = 0; i < n; i++) buffer[i] = p[i];
  return load(buffer);
}
template <class T>
SN_INLINE void store_tail(T* p, vec<acc_t<T>> v, int64_t n) {
  T buffer[lanes<acc_t<T>>];
  store(buffer, v);
  for (int64_t i = 0; i < n; i++) p[i] = buffer[i];
}
// Masked instructions: a buffer would be read as a whole before its elements have arrived in the cache. On AVX2 that took more
// than half of a cross_entropy with 10 classes. Its masked stores are slow on AMD, and it has none of 16 bits.
#if defined(__AVX512F__)
SN_INLINE vec<float> load_tail(const float* p, int64_t n) { return (vec<float>)_mm512_maskz_loadu_ps((1u << n) - 1, p); }
SN_INLINE vec<float> load_tail(const bf16* p, int64_t n) {
  return (vec<float>)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16((1u << n) - 1, p)), 16);
}
SN_INLINE vec<float> load_tail(const f16* p, int64_t n) {
  return (vec<float>)_mm512_cvtph_ps(_mm256_maskz_loadu_epi16((1u << n) - 1, p));
}
SN_INLINE void store_tail(float* p, vec<float> v, int64_t n) { _mm512_mask_storeu_ps(p, (1u << n) - 1, (__m512)v); }
#elif defined(__AVX2__)
SN_INLINE vec<float> load_tail(const float* p, int64_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return (vec<float>)_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}
#endif

// f(i, load, store) for every vector of [begin, end), the last one partial: one loop body serves both.
//   map<T>(begin, end, [&](int64_t i, auto get, auto put) { put(y + i, 2 * get(x + i)); });
template <class T, class F>
SN_INLINE void map(int64_t begin, int64_t end, const F& f) {
  constexpr int64_t N = lanes<acc_t<T>>;
  int64_t i = begin;
  for (; i + N <= end; i += N)
    f(i, [](const auto* p) SN_LAMBDA_INLINE { return load(p); }, [](auto* p, auto v) SN_LAMBDA_INLINE { store(p, v); });
  const int64_t n = end - i;
  if (n > 0)
    f(
        i, [n](const auto* p) SN_LAMBDA_INLINE { return load_tail(p, n); },
        [n](auto* p, auto v) SN_LAMBDA_INLINE { store_tail(p, v, n); });
}

// ---- reductions ---------------------------------------------------------------------------------------------------------

// Pairwise, the upper half onto the lower one (NEON: neighbours): fixed order, small error.
#if defined(__AVX512F__)
SN_INLINE float vsum(vec<float> v) { return _mm512_reduce_add_ps((__m512)v); }
SN_INLINE double vsum(vec<double> v) { return _mm512_reduce_add_pd((__m512d)v); }
#elif defined(__aarch64__)
SN_INLINE float vsum(vec<float> v) { return vaddvq_f32((float32x4_t)v); }
SN_INLINE double vsum(vec<double> v) { return vaddvq_f64((float64x2_t)v); }
#elif defined(__AVX2__)
SN_INLINE float vsum(vec<float> v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
SN_INLINE double vsum(vec<double> v) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128((__m256d)v), _mm256_extractf128_pd((__m256d)v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
#else
template <class V>
SN_INLINE auto vsum(V v) {
  __typeof__(v[0] + 0) lane[sizeof v / sizeof v[0]];
  memcpy(lane, &v, sizeof v);
  for (int64_t n = sizeof v / sizeof v[0] / 2; n > 0; n /= 2)
    for (int64_t i = 0; i < n; i++) lane[i] += lane[i + n];
  return lane[0];
}
#endif

// The larger operand, a NaN in either wins. On x86 that is one max instruction and one blend.
template <class V>
SN_INLINE V vmax(V a, V b) {
#if defined(__aarch64__)
  if constexpr (sizeof(a[0]) == 4) return (V)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
  else return (V)vmaxq_f64((float64x2_t)a, (float64x2_t)b);
#else
  return ((a > b) | (a != a)) ? a : b;
#endif
}
// The largest element, NaN if one is there. The NaN is looked for beside the chain of maxima: element by element, with NaN in
// the chain, this took 24 of the 58 ns of a row of ten classes in cross_entropy.
#if defined(__AVX512F__)
SN_INLINE float vmax_lanes(vec<float> v) {
  return _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q) ? NAN : _mm512_reduce_max_ps((__m512)v);
}
SN_INLINE double vmax_lanes(vec<double> v) {
  return _mm512_cmp_pd_mask((__m512d)v, (__m512d)v, _CMP_UNORD_Q) ? NAN : _mm512_reduce_max_pd((__m512d)v);
}
#elif defined(__AVX2__)
SN_INLINE float vmax_lanes(vec<float> v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  const float largest = _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, (__m256)v, _CMP_UNORD_Q)) ? NAN : largest;
}
SN_INLINE double vmax_lanes(vec<double> v) {
  const __m128d two = _mm_max_pd(_mm256_castpd256_pd128((__m256d)v), _mm256_extractf128_pd((__m256d)v, 1));
  const double largest = _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
  return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)v, (__m256d)v, _CMP_UNORD_Q)) ? NAN : largest;
}
#else
template <class V>
SN_INLINE auto vmax_lanes(V v) {
  auto m = v[0];
  for (unsigned i = 1; i < sizeof v / sizeof m; i++) m = v[i] > m || v[i] != v[i] ? v[i] : m;
  return m;
}
#endif

// The larger of x and a limit, NaN stays NaN: one instruction, which compilers make of ?: for integers only.
template <class V>
SN_INLINE V at_least(V x, V limit) {
#if defined(__AVX512F__)
  if constexpr (sizeof(x[0]) == 4) return (V)_mm512_max_ps((__m512)limit, (__m512)x);
  else return (V)_mm512_max_pd((__m512d)limit, (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof(x[0]) == 4) return (V)_mm256_max_ps((__m256)limit, (__m256)x);
  else return (V)_mm256_max_pd((__m256d)limit, (__m256d)x);
#else
  return x < limit ? limit : x;
#endif
}

// ---- square root --------------------------------------------------------------------------------------------------------

template <class V>
SN_INLINE V vsqrt(V x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(x[0]) == 4) return (V)_mm512_sqrt_ps((__m512)x);
  else return (V)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof(x[0]) == 4) return (V)_mm256_sqrt_ps((__m256)x);
  else return (V)_mm256_sqrt_pd((__m256d)x);
#elif defined(__aarch64__)
  if constexpr (sizeof(x[0]) == 4) return (V)vsqrtq_f32((float32x4_t)x);
  else return (V)vsqrtq_f64((float64x2_t)x);
#else
  for (unsigned i = 0; i < sizeof x / sizeof x[0]; i++) x[i] = sizeof x[0] == 4 ? __builtin_sqrtf(x[i]) : __builtin_sqrt(x[i]);
  return x;
#endif
}

// ---- exp ----------------------------------------------------------------------------------------------------------------
// exp(x) for x <= 88 (float) or 709 (double): 2^k exp(r), k = round(x / ln 2), |r| <= ln(2) / 2; the polynomial is the
// Chebyshev interpolant of exp on that interval. Relative error at most 1.2e-7 (1 ulp) for float, 2.5e-16 (about 1 ulp) for
// double. Zero below the least normal number / sqrt 2: on Intel each result that is not normal costs 150 cycles. NaN stays NaN.

template <class A>
SN_INLINE vec<A> polynomial(const A* c, int n, vec<A> x) {  // c[0] x^(n-1) + ... + c[n-1], by Horner
  vec<A> p = splat(c[0]);
#pragma GCC unroll 32
  for (int i = 1; i < n; i++) p = p * x + c[i];
  return p;
}

template <class A>
struct Exp {  // exp(x) = power (1 + rest), power = 2^k
  vec<A> rest, power;
};

SN_INLINE Exp<float> reduced_exp(vec<float> x) {
  x = at_least(x, splat(-88.0f));
  constexpr float round = 0x1.8p23f + 127;  // adding it leaves the biased exponent, k + 127, in the low bits: 0 makes power 0
  const vec<float> shifted = x * 0x1.715476p+0f + round, k = shifted - round;
  vec<float> r = x - k * 0x1.62e4p-1f;  // ln 2 in two pieces, the first with few bits so that k times it is exact
  r = r - k * 0x1.7f7d1cp-20f;
  constexpr float c[] = {0.001394110843f, 0.008375126398f, 0.0416663529f, 0.1666641551f, 0.5000000047f, 1.000000038f};
  return {polynomial(c, 6, r) * r, (vec<float>)((Simd<float>::I)shifted << 23)};
}

SN_INLINE Exp<double> reduced_exp(vec<double> x) {
  x = at_least(x, splat(-709.0));
  constexpr double round = 0x1.8p52 + 1023;
  const vec<double> shifted = x * 0x1.71547652b82fep+0 + round, k = shifted - round;
  vec<double> r = x - k * 0x1.62e42fefa39efp-1;  // with fused multiply-add the first piece may have all bits
#if !defined(__FMA__) && !defined(__aarch64__)
  r = x - k * 0x1.62e42feep-1 - k * 0x1.a39ef35793c76p-33;
#else
  r = r - k * 0x1.abc9e3b39803fp-56;
#endif
  constexpr double c[] = {2.0921579964950300073e-9, 2.5114869528657764941e-8,  2.7557251904174912593e-7,
                          2.7557224958392622686e-6, 0.00002480158735011079562, 0.00019841269909217101366,
                          0.001388888888887188822,  0.0083333333333095270794,  0.041666666666666692193,
                          0.16666666666666702412,   0.49999999999999999989,    0.99999999999999999847};
  return {polynomial(c, 12, r) * r, (vec<double>)((Simd<double>::I)shifted << 52)};
}

template <class V>
SN_INLINE V vexp(V x) {
  const auto [rest, power] = reduced_exp(x);
  return (rest + 1) * power;
}

// tanh(x) = (1 - p) / (1 + p), p = exp(-2 |x|), to 1.6 ulp everywhere: near zero by p - 1 without the 1 that would swallow it;
// near one as 1 - 2 p / (1 + p), because 1 - tanh^2, the slope, is what a rounding error there is large against.
template <class V>
SN_INLINE V vtanh(V x) {
  const auto [rest, power] = reduced_exp(x < 0 ? 2 * x : -2 * x);
  const V p = (rest + 1) * power;
  const V below_one = -rest * power - (power - 1);  // 1 - p
  const auto far = p < V{} + 0.25f;
  const V share = (far ? 2 * p : below_one) / (1 + p), t = far ? 1 - share : share;
  return x < 0 ? -t : t;
}

// exp(x c), with c given as log2(e) c, times 2^-down, without the two-piece reduction of vexp: log2(e) c rounded to float is
// off by up to 3e-8 of itself, so the relative error is 1.2e-7 + 3e-8 |x c|. Zero below the least normal number.
SN_INLINE vec<float> quick_exp(vec<float> x, float log2_e_c, int down) {
  constexpr float power[] = {0.001326472205f, 0.009671512997f, 0.0555073376f, 0.2402224208f, 0.6931469776f, 1};
  const float round = 0x1.8p23f + 127 - down;  // adding it leaves the biased exponent in the low bits
  const vec<float> shifted = x * log2_e_c + round, rest = x * log2_e_c - (shifted - round);
  return polynomial(power, 6, rest) * (vec<float>)((Simd<float>::I)shifted << 23);
}

// ---- the normal distribution --------------------------------------------------------------------------------------------
// For a >= 0: Phi(-a) = exp(-a^2 / 2) R(a). R is smooth and never zero, so that the *relative* error stays
// small far into the tail (0.5 * (1 + erf(x / sqrt 2)) loses all its digits there). Phi below the least normal number is zero:
// on Intel a result that is not normal costs 150 cycles.

template <class A>
struct Normal {
  vec<A> cdf, pdf;
};

// Float: R as a ratio of polynomials, R(0) = 1 / 2 exactly, with a relative error of at most 1.2e-7 (1 + a^2 / 10), the order
// of what rounding a^2 costs. 2^-5 goes from R into exp, so that it and the product become zero together.
SN_INLINE Normal<float> normal(vec<float> x) {
  using I = Simd<float>::I;
  constexpr float over[] = {0.482652579f, 3.55884602f, 11.1183075f, 16},
                  under[] = {0.0378169033f, 0.278437886f, 0.913542649f, 1.49277388f, 1};
  const I bits = (I)x & 0x7fffffff, most = (I)splat(13.0f);
  const vec<float> a = (vec<float>)(bits < most ? bits : most);  // min(|x|, 13) is one instruction on integers
  const vec<float> e = quick_exp(a * a, -0.72134752f, 5);
  const vec<float> tail = e * polynomial(over, 4, a) / polynomial(under, 5, a);
  return {(I)x < 0 ? tail : 1 - tail, e * (32 * 0.3989422804f)};
}
SN_INLINE vec<double> normal_tail(vec<double> s) {
  constexpr double c[] = {
      1.4191921895541691813e-10,  -7.8427963638282610321e-10, -1.3221029628804949364e-9,  9.2686590371240206481e-9,
      7.0680456541947371006e-9,   -6.7401611797930035643e-8,  -3.8753309224618464042e-8,  4.3345610194783044211e-7,
      3.3370603508379291117e-7,   -2.7688616333731322897e-6,  -3.9794571807921432874e-6,  0.000016680843519640585227,
      0.000049762364675076835713, -0.00005937558516344094674, -0.00054489897744543663203, -0.000797869428428786286,
      0.0029933767603476348062,   0.020795066803319469319,    0.069118638706956706875,    0.165020366170189682,
      0.31353315667128584865,     0.49530561596998063936,     0.66538250289005685714,     0.76919304975006294363};
  return polynomial(c, 24, s);
}

SN_INLINE Normal<double> normal(vec<double> x) {
  const vec<double> a = x < 0 ? -x : x, w = 1 / (a + 5), e = vexp(-0.5 * x * x);
  const vec<double> tail = e * w * normal_tail(10 * w - 1);
  return {x < 0 ? tail : 1 - tail, e * 0.39894228040143267794};
}

// 1 / (1 + exp(-x)) and what is left to 1, both without cancellation: the smaller one is exp(-|x|) times the larger one.
template <class A>
struct Sigmoid {
  vec<A> value, rest;
};
template <class A>
SN_INLINE Sigmoid<A> sigmoid(vec<A> x) {
  const vec<A> e = vexp(x < 0 ? x : -x), large = A(1) / (1 + e), small = e * large;
  return {x < 0 ? small : large, x < 0 ? large : small};
}

}  // namespace
}  // namespace scratchnet
