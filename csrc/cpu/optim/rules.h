// The update rules, each written once: V is one element or a register of them, A what they are computed in.
//
// A rule turns its options into the constants of one step and says which state it has (has), so that a kernel loads and stores
// no more. The order of operations is that of the formulas in scratchnet/optim/.
#pragma once
#include <math.h>

#include "cpu/simd.h"
#include "ops/optim.h"

namespace scratchnet {
namespace {

SN_INLINE float root(float x) { return sqrtf(x); }
SN_INLINE double root(double x) { return sqrt(x); }
SN_INLINE vec<float> root(vec<float> x) { return vsqrt(x); }
SN_INLINE vec<double> root(vec<double> x) { return vsqrt(x); }

SN_INLINE float larger(float a, float b) { return a > b || a != a ? a : b; }  // NaN in either wins
SN_INLINE double larger(double a, double b) { return a > b || a != a ? a : b; }
SN_INLINE vec<float> larger(vec<float> a, vec<float> b) { return vmax(a, b); }
SN_INLINE vec<double> larger(vec<double> a, vec<double> b) { return vmax(a, b); }

// a + weight (b - a), from the end that is nearer: weight 1 gives b exactly
template <class V, class A>
SN_INLINE V lerp(V a, V b, A weight) {
  return weight < A(0.5) ? a + weight * (b - a) : b - (b - a) * (1 - weight);
}

// state: b
template <class A>
struct Sgd {
  A lr, momentum, share, weight_decay;
  bool decays, nesterov, maximize, has[3];

  Sgd(const SgdOptions& o, double)
      : lr(o.lr),
        momentum(o.momentum),
        share(1 - o.dampening),
        weight_decay(o.weight_decay),
        decays(o.weight_decay != 0),
        nesterov(o.nesterov),
        maximize(o.maximize),
        has{o.momentum != 0, false, false} {}

  template <class V>
  SN_INLINE void operator()(V& param, V g, V (&state)[3]) const {
    V& b = state[0];
    if (maximize) g = -g;
    if (decays) g = g + weight_decay * param;
    if (has[0]) {
      b = b * momentum + share * g;
      g = nesterov ? g + momentum * b : b;
    }
    param = param - lr * g;
  }
};

// state: m, v, and for amsgrad the largest v so far
template <class A>
struct Adam {
  A shrink, weight_decay, weight1, beta2, weight2, step_size, scale, eps;
  bool decays, amsgrad, maximize, has[3];

  Adam(const AdamOptions& o, double t)
      : shrink(o.decoupled ? 1 - o.lr * o.weight_decay : 1),
        weight_decay(o.weight_decay),
        weight1(1 - o.beta1),
        beta2(o.beta2),
        weight2(1 - o.beta2),
        step_size(o.lr / (1 - pow(o.beta1, t))),
        scale(1 / sqrt(1 - pow(o.beta2, t))),
        eps(o.eps),
        decays(!o.decoupled && o.weight_decay != 0),
        amsgrad(o.amsgrad),
        maximize(o.maximize),
        has{true, true, o.amsgrad} {}

  template <class V>
  SN_INLINE void operator()(V& param, V g, V (&state)[3]) const {
    V &m = state[0], &v = state[1], &largest = state[2];
    if (maximize) g = -g;
    if (decays) g = g + weight_decay * param;
    param = param * shrink;
    m = lerp(m, g, weight1);
    v = v * beta2 + weight2 * g * g;
    if (amsgrad) largest = larger(largest, v);
    const V size = root(amsgrad ? largest : v) * scale + eps;
    param = param - step_size * m / size;
  }
};

// state: v, with momentum b, and if centered the mean gradient
template <class A>
struct Rmsprop {
  A lr, alpha, weight, eps, weight_decay, momentum;
  bool decays, centered, maximize, has[3];

  Rmsprop(const RmspropOptions& o, double)
      : lr(o.lr),
        alpha(o.alpha),
        weight(1 - o.alpha),
        eps(o.eps),
        weight_decay(o.weight_decay),
        momentum(o.momentum),
        decays(o.weight_decay != 0),
        centered(o.centered),
        maximize(o.maximize),
        has{true, o.momentum > 0, o.centered} {}

  template <class V>
  SN_INLINE void operator()(V& param, V g, V (&state)[3]) const {
    V &v = state[0], &b = state[1], &mean = state[2];
    if (maximize) g = -g;
    if (decays) g = g + weight_decay * param;
    v = v * alpha + weight * g * g;
    V square = v;
    if (centered) {
      mean = lerp(mean, g, weight);
      square = v - mean * mean;
    }
    const V size = root(square) + eps;
    if (has[1]) {
      b = b * momentum + g / size;
      param = param - lr * b;
    } else {
      param = param - lr * g / size;
    }
  }
};

// state: the sum of squares
template <class A>
struct Adagrad {
  A lr, eps, weight_decay;
  bool decays, maximize, has[3];

  Adagrad(const AdagradOptions& o, double t)
      : lr(o.lr / (1 + (t - 1) * o.lr_decay)),
        eps(o.eps),
        weight_decay(o.weight_decay),
        decays(o.weight_decay != 0),
        maximize(o.maximize),
        has{true, false, false} {}

  template <class V>
  SN_INLINE void operator()(V& param, V g, V (&state)[3]) const {
    V& sum = state[0];
    if (maximize) g = -g;
    if (decays) g = g + weight_decay * param;
    sum = sum + g * g;
    param = param - lr * g / (root(sum) + eps);
  }
};

}  // namespace
}  // namespace scratchnet
