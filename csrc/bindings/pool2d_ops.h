// The operators of pooling: max_pool2d, avg_pool2d, adaptive_avg_pool2d.
#pragma once
#include "gather_ops.h"
#include "ops/pool2d.h"

// clang-format off
#define SN_POOL2D_HOST_OPS(X)                                                               \
  X(max_pool2d_forward) X(max_pool2d_backward) X(avg_pool2d_forward) X(avg_pool2d_backward) \
  X(adaptive_avg_pool2d_forward) X(adaptive_avg_pool2d_backward)
// clang-format on

namespace scratchnet {

using Pair = std::vector<int64_t>;  // of rows and columns

// The windows of both axes of images of the given sizes (..., rows, columns).
struct Windows {
  Axis rows, columns;

  Windows(const Expect& expect, const std::vector<int64_t>& sizes, const Pair& kernel, const Pair& stride, const Pair& padding,
          const Pair& dilation, bool ceil_mode) {
    expect.that(sizes.size() >= 2, "x must have the axes ..., rows, columns");
    for (const Pair* pair : {&kernel, &stride, &padding, &dilation})
      expect.that(pair->size() == 2, "kernel_size, stride, padding and dilation must be pairs of integers");
    rows = axis(expect, sizes.end()[-2], kernel[0], stride[0], padding[0], dilation[0], ceil_mode);
    columns = axis(expect, sizes.end()[-1], kernel[1], stride[1], padding[1], dilation[1], ceil_mode);
  }

 private:
  static Axis axis(const Expect& expect, int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                   bool ceil_mode) {
    constexpr int64_t MOST = INT32_MAX;  // of any one of them, so that products fit into 64 bits
    expect.that(0 < in && in < MOST, "x must have rows and columns, fewer than 2^31");
    expect.that(0 < kernel && kernel < MOST && 0 < stride && stride < MOST && 0 < dilation && dilation < MOST,
                "kernel_size, stride and dilation must be positive");
    const int64_t covered = (kernel - 1) * dilation + 1;
    expect.that(0 <= padding && padding <= covered / 2, "padding must be from 0 to half of the window");
    int64_t reach = in + 2 * padding - covered + (ceil_mode ? stride - 1 : 0);
    expect.that(reach >= 0, "x must be at least as large as the window");
    int64_t count = reach / stride + 1;
    if (ceil_mode && (count - 1) * stride >= in + padding) count--;  // no window begins behind the image
    return {in, count, kernel, stride, padding, dilation};
  }
};

// The intervals that windows cover along one axis, and what their sums are divided by.
struct Intervals {
  std::vector<int64_t> begin, end;
  std::vector<double> divisor;
  int64_t in;

  Intervals(const Axis& axis, bool count_include_pad, int64_t fixed_divisor) : in(axis.in) {
    for (int64_t o = 0; o < axis.out; o++) {
      const int64_t start = axis.tap(o, 0), stop = start + axis.kernel;
      begin.push_back(start < 0 ? 0 : start);
      end.push_back(stop < in ? stop : in);
      const int64_t padded = (stop < in + axis.padding ? stop : in + axis.padding) - start;
      divisor.push_back(fixed_divisor ? fixed_divisor : count_include_pad ? padded : end.back() - begin.back());
    }
  }
  // adaptive: `out` windows of nearly equal size, from floor(o in / out) to ceil((o + 1) in / out)
  Intervals(int64_t in, int64_t out) : in(in) {
    for (int64_t o = 0; o < out; o++) {
      const auto place = [&](int64_t o) { return (__int128)o * in; };  // may pass 64 bits
      begin.push_back(place(o) / out);
      end.push_back((place(o + 1) + out - 1) / out);
      divisor.push_back(end.back() - begin.back());
    }
  }
  Spans spans() const { return {in, (int64_t)begin.size(), begin.data(), end.data(), divisor.data()}; }
};

inline std::vector<int64_t> with_plane(std::vector<int64_t> sizes, int64_t rows, int64_t columns) {
  sizes.end()[-2] = rows, sizes.end()[-1] = columns;
  return sizes;
}
inline int64_t planes_of(const std::vector<int64_t>& sizes) { return product_of({sizes.data(), (int64_t)sizes.size() - 2}); }

template <class Tensor>
std::tuple<Tensor, Tensor> max_pool2d_forward(Tensor x, Pair kernel, Pair stride, Pair padding, Pair dilation, bool ceil_mode,
                                              int64_t rung) {
  const Expect expect("max_pool2d_forward", "x", x, rung);
  const auto sizes = sizes_of(x);
  const Windows w(expect, sizes, kernel, stride, padding, dilation, ceil_mode);
  x = in_order(x);
  const auto wanted = with_plane(sizes, w.rows.out, w.columns.out);
  Tensor y = fresh<Tensor>(wanted, x.scalar_type()), index = fresh<Tensor>(wanted, index_dtype<Tensor>());
  pool2d_kernels(rung).max_forward(on(x), data(x), out(y), (int64_t*)out(index), planes_of(sizes), w.rows, w.columns);
  return {y, index};
}

template <class Tensor>
Tensor max_pool2d_backward(Tensor grad, std::vector<int64_t> sizes, Tensor index, int64_t rung) {
  const Expect expect("max_pool2d_backward", "grad", grad, rung);
  expect.index("index", index);
  expect.shape("grad", grad, all_axes(index));
  const int64_t dim = index.dim();
  expect.that((int64_t)sizes.size() == dim && dim >= 2 && first_axes(index, dim - 2) == Shape{sizes.data(), dim - 2},
              "index must have the first axes of x's shape");
  for (const int64_t size : sizes) expect.that(size >= 0, "sizes must not be negative");
  grad = in_order(grad), index = in_order(index);
  Tensor dx = fresh<Tensor>(sizes, grad.scalar_type());
  check_range(pool2d_kernels(rung).max_backward(on(grad), data(grad), entries(index), out(dx), planes_of(sizes),
                                                sizes[dim - 2] * sizes[dim - 1], numel_of(index, dim - 2, dim)),
              "max_pool2d");
  return dx;
}

// Both directions: from x (..., in) to y (..., out), or from its gradient back.
template <class Tensor>
Tensor average(Tensor x, Tensor y, const Intervals& rows, const Intervals& columns, bool back, int64_t rung) {
  x = in_order(x);
  const auto run = back ? pool2d_kernels(rung).avg_backward : pool2d_kernels(rung).avg_forward;
  run(on(x), data(x), out(y), planes_of(sizes_of(x)), rows.spans(), columns.spans());
  return y;
}

template <class Tensor>
Tensor avg_pool2d(const Expect& expect, Tensor x, const std::vector<int64_t>& sizes, const Pair& kernel, const Pair& stride,
                  const Pair& padding, bool ceil_mode, bool count_include_pad, int64_t divisor, bool back, int64_t rung) {
  const Windows w(expect, sizes, kernel, stride, padding, {1, 1}, ceil_mode);
  const auto small = with_plane(sizes, w.rows.out, w.columns.out);
  if (back) expect.shape("grad", x, Shape{small.data(), (int64_t)small.size()});
  Tensor y = fresh<Tensor>(back ? sizes : small, x.scalar_type());
  const Intervals rows(w.rows, count_include_pad, divisor), columns(w.columns, count_include_pad, divisor ? 1 : 0);
  return average(x, y, rows, columns, back, rung);
}
template <class Tensor>
Tensor avg_pool2d_forward(Tensor x, Pair kernel, Pair stride, Pair padding, bool ceil_mode, bool count_include_pad,
                          int64_t divisor, int64_t rung) {
  const Expect expect("avg_pool2d_forward", "x", x, rung);
  return avg_pool2d(expect, x, sizes_of(x), kernel, stride, padding, ceil_mode, count_include_pad, divisor, false, rung);
}
template <class Tensor>
Tensor avg_pool2d_backward(Tensor grad, std::vector<int64_t> sizes, Pair kernel, Pair stride, Pair padding, bool ceil_mode,
                           bool count_include_pad, int64_t divisor, int64_t rung) {
  const Expect expect("avg_pool2d_backward", "grad", grad, rung);
  return avg_pool2d(expect, grad, sizes, kernel, stride, padding, ceil_mode, count_include_pad, divisor, true, rung);
}

template <class Tensor>
Tensor adaptive_avg_pool2d(const Expect& expect, Tensor x, const std::vector<int64_t>& sizes, int64_t rows, int64_t columns,
                           bool back, int64_t rung) {
  expect.that(sizes.size() >= 2 && sizes.end()[-2] > 0 && sizes.end()[-1] > 0, "x must have rows and columns");
  expect.that(rows >= 0 && columns >= 0, "output_size must not be negative");
  const auto small = with_plane(sizes, rows, columns);
  if (back) expect.shape("grad", x, Shape{small.data(), (int64_t)small.size()});
  Tensor y = fresh<Tensor>(back ? sizes : small, x.scalar_type());  // before the windows: this is what may be too large
  return average(x, y, Intervals(sizes.end()[-2], rows), Intervals(sizes.end()[-1], columns), back, rung);
}
template <class Tensor>
Tensor adaptive_avg_pool2d_forward(Tensor x, Pair output_size, int64_t rung) {
  const Expect expect("adaptive_avg_pool2d_forward", "x", x, rung);
  expect.that(output_size.size() == 2, "output_size must be a pair");
  return adaptive_avg_pool2d(expect, x, sizes_of(x), output_size[0], output_size[1], false, rung);
}
template <class Tensor>
Tensor adaptive_avg_pool2d_backward(Tensor grad, std::vector<int64_t> sizes, int64_t rung) {
  const Expect expect("adaptive_avg_pool2d_backward", "grad", grad, rung);
  expect.that(grad.dim() >= 2, "grad must have the axes ..., rows, columns");
  return adaptive_avg_pool2d(expect, grad, sizes, grad.size(grad.dim() - 2), grad.size(grad.dim() - 1), true, rung);
}

}  // namespace scratchnet
