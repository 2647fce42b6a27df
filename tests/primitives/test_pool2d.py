"""What is special to pooling: ties and NaN, indices, overlapping and sparse windows, planes of any size, memory formats."""

import itertools

import pytest
import torch
import torch.nn.functional as F

import scratchnet
from scratchnet.functions.pool2d import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from scratchnet.ops import OPS

RUNGS = [f"cpp:{n}" for n in range(1, len(OPS["max_pool2d"].rungs("cpp")) + 1)]
BACKENDS = (*RUNGS, "reference", "numpy")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def with_gradient(function, x, *args, **kwargs):
    """The outputs and the gradient of x for a fixed grad_output."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    outputs = function(leaf, *args, **kwargs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    grad = torch.linspace(-1, 2, outputs[0].numel(), dtype=torch.float64).reshape(outputs[0].shape).to(x.dtype)
    return [*outputs, *torch.autograd.grad(outputs[0], leaf, grad)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ties_nan_and_infinities_pick_the_entry_that_torch_picks(dtype, backend):
    x = torch.randint(-1, 2, (3, 4, 9, 37)).to(dtype)
    x[0, 0, torch.rand(9, 37) < 0.2] = torch.nan
    x[1][torch.rand(4, 9, 37) < 0.3] = torch.inf
    x[2] = -torch.inf
    for options in ((2,), (3, 2, 1), ((3, 2), (1, 3), (1, 0)), ((2, 3), 1, (0, 1), (1, 2)), (3, 4, 1, 2, True)):
        expected = with_gradient(F.max_pool2d, x, *options, return_indices=True)
        with scratchnet.backend(backend):
            actual = with_gradient(max_pool2d, x, *options, return_indices=True)
        for a, b in zip(actual[:2], expected[:2], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(actual[2], expected[2], equal_nan=True)


@pytest.mark.parametrize("backend", RUNGS)
@pytest.mark.parametrize("function, own", ((max_pool2d, F.max_pool2d), (avg_pool2d, F.avg_pool2d)), ids=("max", "avg"))
def test_every_window(function, own, backend):
    """All kernels, strides, paddings and image sizes up to a few registers."""
    options = itertools.product((5, 16, 35), (1, 2, 3, 5), (1, 2, 3, 7), (0, 1, 2), (False, True))
    for size, kernel, stride, padding, ceil in options:
        if padding > kernel // 2:
            continue
        x = torch.randn(2, 5, size, dtype=torch.float64)
        expected = with_gradient(own, x, kernel, stride, padding, ceil_mode=ceil)
        with scratchnet.backend(backend):
            actual = with_gradient(function, x, kernel, stride, padding, ceil_mode=ceil)
        torch.testing.assert_close(actual, expected, msg=lambda m, c=(size, kernel, stride, padding, ceil): f"{c}: {m}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_adaptive_windows(backend):
    sizes = (
        (7, 7, 1, 1), (8, 12, 2, 3), (7, 10, 3, 4), (2, 3, 5, 7), (1, 50, 1, 20), (70, 3, 1, 1),
        (90, 101, 1, 1), (37, 61, 2, 5), (29, 18, 7, 1), (5, 4, 1, 3),
    )  # fmt: skip
    for height, width, rows, columns in sizes:
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        expected = with_gradient(F.adaptive_avg_pool2d, x, (rows, columns))
        with scratchnet.backend(backend):
            torch.testing.assert_close(with_gradient(adaptive_avg_pool2d, x, (rows, columns)), expected)
    with scratchnet.backend(backend):
        assert adaptive_avg_pool2d(torch.ones(2, 3, 4, 5), (0, 2)).shape == (2, 3, 0, 2)
        assert adaptive_avg_pool2d(torch.ones(3, 4, 5), (None, 2)).shape == (3, 4, 2)
        assert adaptive_avg_pool2d(torch.ones(1, 2, 3, 4, 5), 1).shape == (1, 2, 3, 1, 1)  # torch takes it too
        for x in (torch.ones(2, 3, 0), torch.ones(1, 2, 0, 4), torch.randn(1, 2, 3, dtype=torch.complex64)):  # and these
            torch.testing.assert_close(adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, 1), equal_nan=True)


@pytest.mark.parametrize("backend", RUNGS)
def test_infinity_stays_in_its_window(backend):
    x = torch.ones(1, 6, 6)
    x[0, 2, 2] = torch.inf
    with scratchnet.backend(backend):
        for y in (avg_pool2d(x, 2), adaptive_avg_pool2d(x, 3), adaptive_avg_pool2d(x, 4)):
            assert y.isinf().any() and not y.isnan().any() and (y == 1).sum() >= y.numel() - 4


@pytest.mark.parametrize("backend", ("cpp", "reference"))
def test_memory_formats_and_batches(backend):
    x = torch.randn(3, 4, 7, 9)
    for function, own, options in (
        (max_pool2d, F.max_pool2d, (3, 2, 1)),
        (avg_pool2d, F.avg_pool2d, (3, 2, 1)),
        (adaptive_avg_pool2d, F.adaptive_avg_pool2d, (2,)),
    ):
        for view in (x.to(memory_format=torch.channels_last), x[:, 1:3, ::2], x.mT, x[0], x[:0], x[:1].expand(3, 4, 7, 9)):
            expected = with_gradient(own, view, *options)
            with scratchnet.backend(backend):
                torch.testing.assert_close(with_gradient(function, view, *options), expected)


def test_integers_as_in_torch():
    x = torch.randint(-50, 50, (2, 5, 6))
    for dtype in (torch.int64, torch.int32, torch.uint8):
        ours, theirs = (f(x.to(dtype), 2, return_indices=True) for f in (max_pool2d, F.max_pool2d))
        assert all(map(torch.equal, ours, theirs))
    assert torch.equal(avg_pool2d(x, 2), F.avg_pool2d(x, 2))
    assert torch.equal(avg_pool2d(x, 3, 1, 1, divisor_override=-4), F.avg_pool2d(x, 3, 1, 1, divisor_override=-4))


def test_the_number_of_threads_changes_no_bit():
    x = torch.randn(40, 3, 33, 50)
    calls = ((max_pool2d, (3, 2, 1)), (avg_pool2d, (3, 2, 1)), (adaptive_avg_pool2d, (1,)), (adaptive_avg_pool2d, (7,)))
    for function, options in calls:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(with_gradient(function, x, *options))
        assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_indices_are_int64_places_without_a_gradient():
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    y, index = max_pool2d(x, 2, return_indices=True)
    assert index.dtype == torch.int64 and not index.requires_grad and y.requires_grad
    assert torch.equal(x.flatten(-2).gather(-1, index.flatten(-2)).view(y.shape), y)
    assert torch.equal(F.max_unpool2d(y, index, 2).ne(0), F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2).ne(0))
    run = torch.compile(lambda x: max_pool2d(x, 2, return_indices=True), fullgraph=True, backend="aot_eager")
    assert all(map(torch.equal, run(x), (y, index)))


@pytest.mark.parametrize("rung", range(1, len(RUNGS) + 1))
@pytest.mark.parametrize("bad", (-1, 16, 2**40))
def test_an_index_out_of_the_plane_is_refused(bad, rung):
    index = torch.full((2, 2, 2), bad)
    with pytest.raises(IndexError, match="index out of range"):
        torch.ops.scratchnet.max_pool2d_backward(torch.ones(2, 2, 2), [2, 4, 4], index, rung)


def test_a_window_of_padding_alone_is_refused():
    """torch returns -infinity, and passes its gradient to an entry of another window."""
    with pytest.raises(RuntimeError, match=r"max_pool2d\(\): argument 'dilation': taps 3 apart step over all 2 entries"):
        max_pool2d(torch.ones(1, 2, 2), 2, 1, 1, 3)
    x = torch.randn(1, 2, 2)
    assert torch.equal(max_pool2d(x, 3, 1, 3, 3), x)  # here the middle tap meets the image


I = torch.ones(2, 3, 6, 7)  # noqa: E741
WRONG = {
    "kernel 0": lambda f: f(I, 0),
    "kernel -1": lambda f: f(I, -1),
    "kernel of three": lambda f: f(I, (2, 2, 2)),
    "no kernel": lambda f: f(I, ()),
    "float kernel": lambda f: f(I, 2.5),
    "bool kernel": lambda f: f(I, True),
    "stride -1": lambda f: f(I, 2, -1),
    "stride 0": lambda f: f(I, 2, 0),
    "stride of three": lambda f: f(I, 2, (1, 2, 3)),
    "padding -1": lambda f: f(I, 2, 2, -1),
    "padding 2": lambda f: f(I, 2, 2, 2),
    "padding of three": lambda f: f(I, 2, 2, (0, 0, 0)),
    "kernel 9": lambda f: f(I, 9),
    "two axes": lambda f: f(I[0, 0], 2),
    "five axes": lambda f: f(I[None], 2),
    "no channels": lambda f: f(I[:, :0], 2),
    "no rows": lambda f: f(I[:, :, :0], 1),
    "bool": lambda f: f(I > 0, 2),
    "complex": lambda f: f(I + 0j, 2),
    "list": lambda f: f([1.0], 2),
}
CALLS = [(max_pool2d, F.max_pool2d, w) for w in WRONG.values()] + [(avg_pool2d, F.avg_pool2d, w) for w in WRONG.values()]
CALLS += [(max_pool2d, F.max_pool2d, w) for w in (lambda f: f(I, 2, dilation=0), lambda f: f(I, 2, dilation=(1, 2, 3)))]
CALLS += [
    (avg_pool2d, F.avg_pool2d, w)
    for w in (lambda f: f(I, 2, divisor_override=0), lambda f: f(I, 2, divisor_override=1.5), lambda f: f(I.int(), 2))
]
CALLS += [
    (adaptive_avg_pool2d, F.adaptive_avg_pool2d, w)
    for w in (
        lambda f: f(I, -1),
        lambda f: f(I, (2,)),
        lambda f: f(I, ()),
        lambda f: f(I, (1, 2, 3)),
        lambda f: f(I, 1.5),
        lambda f: f(I, True),
        lambda f: f(I, (2, 2.5)),
        lambda f: f(I, None),
        lambda f: f(I.long(), 2),
        lambda f: f(I[None], 2),
        lambda f: f(I[0, 0], 2),
        lambda f: f(I[:, :, :0], 2),
        lambda f: f(I + 0j, 2),
    )
]


@pytest.mark.parametrize("case", range(len(CALLS)))
def test_errors_are_torchs(case):
    function, own, wrong = CALLS[case]
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)) as theirs:
        wrong(own)
    with pytest.raises(theirs.type, match=rf"^{function.__name__}\(\): argument '"):
        wrong(function)
