"""What is special to convolutions: edges of tiles and blocks, strides and dilations, groups, NaN, threads, ranks, padding."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import scratchnet
from scratchnet.functions.conv2d import conv1d, conv2d
from scratchnet.ops import OPS

RUNGS = [f"cpp:{n}" for n in range(1, len(OPS["conv2d"].rungs("cpp")) + 1)]
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# The first rung and the last in every type, those between in float32.
TYPED = [(rung, dtype) for rung in RUNGS for dtype in (FLOATS if rung in (RUNGS[0], RUNGS[-1]) else FLOATS[1:2])]


def both(function, own, x, weight, bias, *options):
    """(ours, torch's, torch's in float64): output and gradients for one incoming gradient."""
    results, grad = [], None
    for call, dtype in ((own, torch.float64), (own, x.dtype), (function, x.dtype)):
        leaves = [t.detach().to(dtype).requires_grad_() for t in (x, weight, bias) if t is not None]
        y = call(*leaves, *[None] * (3 - len(leaves)), *options)
        grad = torch.randn(y.shape).to(x.dtype) if grad is None else grad
        results.append((y, *torch.autograd.grad(y, leaves, grad.to(dtype))))
    return zip(*reversed(results), strict=True)


def assert_as_exact(ours, torchs, exact, what, ulps=4):
    """At most twice torch's error plus a few units in the last place of the largest result."""
    assert ours.shape == torchs.shape and ours.dtype == torchs.dtype and ours.is_contiguous()
    if not exact.numel():
        return
    error, own = ((t.double() - exact).abs().max().item() for t in (ours, torchs))
    assert error <= 2 * own + ulps * torch.finfo(ours.dtype).eps * exact.abs().max().item(), what


# N, groups, channels and filters per group, image, kernel, stride, padding, dilation
SIZES = [
    (3, 1, 1, 6, (28, 28), (5, 5), 1, 0, 1),  # the first layer of LeNet
    (2, 1, 3, 17, (33, 35), (7, 7), 2, 3, 1),  # of ResNet
    (2, 1, 40, 65, (9, 7), (3, 3), 1, 1, 1),  # more terms than are added up at a time; rows of filters that do not fill a tile
    (9, 1, 5, 16, (7, 7), (3, 3), 1, 1, 1),  # several small images in a block
    (1, 1, 2, 300, (6, 5), (2, 3), 1, 1, 1),  # one image: the threads share the filters
    (2, 1, 7, 64, (1, 1100), (1, 5), 1, (0, 2), 1),  # rows that are cut
    (2, 1, 2, 5, (3, 2100), (1, 3), (1, 2), (0, 1), (1, 3)),
    (2, 1, 4, 8, (200, 19), (3, 3), 1, 1, 1),  # blocks of rows
    (1, 1, 3, 3, (6, 33), (4, 1), (3, 1), (3, 1), (3, 3)),  # rows share zeros, and the last output of a block lies behind it
    (2, 1, 3, 8, (13, 13), (3, 3), 1, 3, 1),
    (2, 1, 4, 9, (11, 13), (1, 1), 2, 0, 1),  # pixels that no filter sees
    (2, 2, 3, 5, (11, 13), (3, 2), (3, 2), (0, 1), (2, 3)),
    (2, 1, 3, 4, (13, 12), (2, 4), (4, 6), (1, 5), (6, 4)),  # stride and dilation have common factors
    (2, 6, 1, 1, (14, 15), (3, 3), 1, 1, 1),  # depthwise
    (2, 5, 1, 2, (9, 20), (3, 3), 2, 1, 1),
    (2, 3, 2, 3, (5, 6), (3, 3), 1, 2, 2),
    (2, 5, 1, 1, (17, 33), (11, 9), 1, (5, 4), 1),  # depthwise: more taps in a column than a run of them has
    (2, 3, 1, 4, (19, 18), (7, 7), (2, 1), 3, (1, 2)),  # of a column of taps every second one meets the same rows
    (3, 2, 2, 1, (9, 1030), (3, 5), (1, 2), 2, 1),
    (3, 1, 16, 12, (5, 5), (5, 5), 1, 0, 1),  # kernels that cover the image
    (2, 1, 5, 6, (9, 40), (9, 40), 2, 0, 1),
    (2, 2, 3, 6, (9, 40), (9, 40), 1, 0, 1),  # the zeros of its gradient's frame are wider than the image
    (2, 2, 3, 9, (4, 37), (3, 37), 1, (1, 36), 1),
    (3, 1, 7, 9, (17, 19), (1, 1), 1, 0, 1),  # matrix products
    (2, 3, 5, 6, (4, 3), (1, 1), 1, 0, 1),
    (1, 1, 2, 3, (1, 1), (3, 3), 1, 1, 1),
    (2, 1, 2, 3, (2, 3), (2, 2), 3, 4, 1),  # windows of nothing but padding
]
# Many filters and short rows: rung 9.
MANY = [
    (9, 1, 40, 65, (7, 7), (3, 3), 1, 1, 1),  # several images in a block; panels of filters that are not full
    (1, 1, 64, 300, (9, 15), (3, 3), 1, 1, 1),  # one image: the threads share the filters
    (3, 1, 64, 48, (14, 15), (3, 3), 2, 1, 1),
    (5, 1, 64, 64, (3, 4), (1, 1), 1, 1, 1),  # rows share zeros, and are longer than the distance between them
    (5, 1, 48, 32, (4, 5), (1, 1), 2, 0, 1),  # pixels that no filter sees
    (2, 2, 32, 48, (9, 8), (2, 3), (1, 2), (1, 2), (3, 1)),
    (2, 1, 32, 300, (20, 29), (3, 3), (1, 2), 1, 1),  # blocks of rows
]


@pytest.mark.parametrize("rung, dtype", TYPED, ids=str)
@pytest.mark.parametrize("sizes", SIZES + MANY, ids=str)
def test_sizes(sizes, rung, dtype):
    n, groups, channels, filters, image, kernel, *options = sizes
    x, weight = torch.randn(n, groups * channels, *image), torch.randn(groups * filters, channels, *kernel)
    bias = torch.randn(groups * filters) if n != 2 else None
    tensors = [t.to(dtype) if t is not None else None for t in (x, weight, bias)]
    with scratchnet.backend(rung):
        for k, results in enumerate(both(conv2d, F.conv2d, *tensors, *options, groups)):
            # float64 has no wider judge here, and the sums are long
            assert_as_exact(*results, ("y", "dx", "dweight", "dbias")[k], ulps=32 if dtype == torch.float64 else 4)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_reach_only_the_windows_that_see_them(value, rung):
    x, weight = torch.randn(2, 3, 9, 17, requires_grad=True), torch.randn(4, 3, 3, 2, requires_grad=True)
    grad = torch.randn(2, 4, 5, 17)
    with torch.no_grad():
        x[0, 1, 8, 16] = x[0, 0, 4, 0] = value
        grad[1, 2, 2, 8] = value  # not at the border: there torch multiplies it by the padding or not, depending on the dtype
    results = []
    for function in (conv2d, F.conv2d):
        with scratchnet.backend(rung):
            y = function(x, weight, None, (2, 1), (1, 1), (1, 2))
        results.append((y, *torch.autograd.grad(y, (x, weight), grad)))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert all(0 < t.isfinite().sum() < t.numel() for t in results[0])


@pytest.mark.parametrize("rung", RUNGS)
def test_every_layout_gives_the_same_bits(rung):
    x, weight, grad = torch.randn(3, 4, 6, 7), torch.randn(5, 4, 3, 3), torch.randn(3, 5, 6, 7)
    layouts = [lambda t: t.to(memory_format=torch.channels_last), lambda t: t.mT.contiguous().mT]
    layouts.append(lambda t: torch.stack([t, t], -1)[..., 0])

    def run(x, weight, grad):
        x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
        with scratchnet.backend(rung):
            y = conv2d(x, weight, padding=1)
            return y, *torch.autograd.grad(y, (x, weight), grad)

    expected = run(x, weight, grad)
    for layout in layouts:
        assert all(map(torch.equal, run(layout(x), layout(weight), layout(grad)), expected))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("sizes", MANY, ids=str)
def test_rows_of_outputs_have_the_bits_of_registers_of_outputs(sizes, dtype):
    """Rung 9 adds up each output as rung 8 does: the batch, which decides between them, changes no bit."""
    n, groups, channels, filters, image, kernel, *options = sizes
    x, weight = torch.randn(n, groups * channels, *image), torch.randn(groups * filters, channels, *kernel)
    leaves = [t.to(dtype).requires_grad_() for t in (x, weight, torch.randn(groups * filters))]
    results = []
    for rung in ("cpp:8", "cpp:9"):
        with scratchnet.backend(rung):
            y = conv2d(*leaves, *options, groups)
            results.append((y, *torch.autograd.grad(y, leaves, torch.ones_like(y).cumsum(-1))))
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("sizes", [SIZES[i] for i in (0, 2, 3, 4, 9, 11)] + MANY, ids=str)
def test_threads_do_not_change_a_bit(sizes):
    n, groups, channels, filters, image, kernel, *options = sizes
    x = torch.randn(n, groups * channels, *image, requires_grad=True)
    weight = torch.randn(groups * filters, channels, *kernel, requires_grad=True)
    bias = torch.randn(groups * filters, requires_grad=True)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        with scratchnet.backend("cpp"):
            y = conv2d(x, weight, bias, *options, groups)
        results.append((y, *torch.autograd.grad(y, (x, weight, bias), y)))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@pytest.mark.parametrize("rung", (RUNGS[0], RUNGS[-1]))
@pytest.mark.parametrize("shape", [(3, 20), (2, 3, 20), (0, 3, 20)], ids=str)
@pytest.mark.parametrize(
    "options",
    [{}, {"padding": "same"}, {"padding": "valid"}, {"stride": 3, "padding": (2,)}, {"dilation": (4,), "padding": "same"}],
)
def test_sequences(shape, options, rung):
    x, weight, bias = torch.randn(shape), torch.randn(5, 3, 4), torch.randn(5)
    with scratchnet.backend(rung):
        for results in both(lambda *a: conv1d(*a, **options), lambda *a: F.conv1d(*a, **options), x, weight, bias):
            assert_as_exact(*results, options)


@pytest.mark.parametrize("kernel, dilation", [((3, 3), 1), ((2, 4), 1), ((2, 3), (3, 2)), ((1, 2), 1)])
def test_same_padding_has_its_odd_zero_at_the_end(kernel, dilation):
    x, weight = torch.randn(3, 6, 7, dtype=torch.float64), torch.randn(2, 3, *kernel, dtype=torch.float64)
    with scratchnet.backend("cpp"):
        y = conv2d(x, weight, padding="same", dilation=dilation)
    torch.testing.assert_close(y, F.conv2d(x, weight, padding="same", dilation=dilation))
    assert y.shape == (2, 6, 7)


def test_gradients_only_where_asked():
    x, weight, bias = torch.randn(2, 3, 5, 6), torch.randn(4, 3, 2, 2), torch.randn(4)
    expected = [t.clone().requires_grad_() for t in (x, weight, bias)]
    F.conv2d(*expected).square().sum().backward()
    for i in range(3):
        leaves = [t.clone().requires_grad_(i == k) for k, t in enumerate((x, weight, bias))]
        with scratchnet.backend("cpp"):
            conv2d(*leaves).square().sum().backward()
        torch.testing.assert_close(leaves[i].grad, expected[i].grad)
        assert [t.grad is None for t in leaves].count(True) == 2


@pytest.mark.parametrize("backend", ("cpp", "cpp:1", "reference", "numpy"))
def test_no_images_of_no_pixels_but_padding(backend):
    x, weight, bias = (torch.randn(s, requires_grad=True) for s in ((0, 3, 4, 0), (5, 3, 3, 2), (5,)))
    expected = F.conv2d(x, weight, bias, padding=2)
    with scratchnet.backend(backend):
        y = conv2d(x, weight, bias, padding=2)
        torch.testing.assert_close(y, expected)
        gradients = torch.autograd.grad(y.sum(), (x, weight, bias))
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.sum(), (x, weight, bias)))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.complex64], ids=str)
def test_integers_and_complex_numbers_go_the_plain_way(dtype):
    x, weight = torch.arange(24).reshape(1, 2, 3, 4).to(dtype), torch.arange(8).reshape(1, 2, 2, 2).to(dtype)
    with scratchnet.backend("cpp"):
        y = conv2d(x, weight, stride=2)
    torch.testing.assert_close(y, F.conv2d(x, weight, stride=2))
    assert y.dtype == dtype


def test_autocast_brings_mixed_floats_to_one_dtype():
    x, weight, bias = torch.randn(2, 3, 5, 5), torch.randn(4, 3, 3, 3).bfloat16(), torch.randn(4)
    with torch.autocast("cpu", torch.bfloat16), scratchnet.backend("cpp"):
        ours, theirs = conv2d(x, weight, bias), F.conv2d(x, weight, bias)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs)


def test_numbers_that_count_as_ints():
    x, weight = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
    with scratchnet.backend("cpp"):
        for stride in (2, (2,), [2, 2], np.int64(2), torch.tensor(2)):
            torch.testing.assert_close(conv2d(x, weight, stride=stride), F.conv2d(x, weight, stride=2))


@pytest.mark.parametrize("value", (torch.inf, torch.nan))
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16))
@pytest.mark.parametrize(
    "options", ({}, {"stride": 2, "padding": 2}, {"padding": (2, 0), "dilation": (2, 1)}, {"groups": 2, "padding": 1})
)
def test_a_weight_that_is_not_finite_reaches_only_the_pixels_that_it_met(options, dtype, value):
    """Outputs that do not exist have no gradient: dx is not 0 times infinity there. Judged by the float64 oracle."""
    x = torch.randn(2, 4, 9, 7)
    weight = torch.randn(6, 4 // options.get("groups", 1), 3, 2)
    weight[3, 1, 2, 1] = value
    gradients = []
    for backend, type in (("cpp", dtype), ("cpp:5", dtype), ("numpy", torch.float64)):
        leaf = x.detach().clone().to(type).requires_grad_()
        with scratchnet.backend(backend):
            scratchnet.nn.functional.conv2d(leaf, weight.to(type), **options).sum().backward()
        gradients.append(leaf.grad)
    exact = gradients.pop()
    finite = exact.isfinite()
    assert 0 < finite.sum() < finite.numel()
    for ours in gradients:
        assert torch.equal(ours.isnan(), exact.isnan()) and torch.equal(ours.isinf(), exact.isinf())
        torch.testing.assert_close(
            ours[finite].double(), exact[finite], rtol=0, atol=8 * torch.finfo(dtype).eps * float(exact[finite].abs().max())
        )


@pytest.mark.parametrize("channels, filters", ((2, 3), (40, 70)))
@pytest.mark.parametrize("value", (torch.inf, torch.nan))
@pytest.mark.parametrize("options", ({}, {"stride": 2, "padding": 2}, {"padding": (2, 0), "dilation": (2, 1)}), ids=str)
@pytest.mark.parametrize("rung", RUNGS)
def test_the_padding_is_zeros_that_are_multiplied(rung, options, value, channels, filters):
    """0 times infinity is NaN, in y and in the gradient of the weights, on every rung as in the float64 oracle."""
    x, weight = torch.randn(2, channels, 9, 7), torch.randn(filters, channels, 3, 2)
    weight[2, 1, 2, 1] = value
    results = []
    for backend, dtype in ((rung, torch.float32), ("numpy", torch.float64)):
        leaf = weight.to(dtype).requires_grad_()
        with scratchnet.backend(backend):
            y = scratchnet.nn.functional.conv2d(x.to(dtype), leaf, **options)
            grad = torch.zeros_like(y)
            grad[1, 1, 0, 0] = grad[0, 2, -1, -1] = value
            results.append((y, *torch.autograd.grad(y, leaf, grad)))
    for ours, exact in zip(*results, strict=True):
        assert not exact.isfinite().all()
        assert torch.equal(ours.isnan(), exact.isnan()) and torch.equal(ours.isinf(), exact.isinf())
