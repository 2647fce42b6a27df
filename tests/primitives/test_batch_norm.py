"""What is special to batch norm: large means, running statistics, short and long runs, NaN and infinity, memory formats."""

import copy

import pytest
import torch
import torch.nn.functional as F

import scratchnet
from scratchnet.functions.batch_norm import batch_norm

BACKENDS = ("cpp", "cpp:1", "reference")
SHAPES = ((6, 5), (300, 3), (4, 3, 7), (2, 70, 5), (2, 3, 33), (3, 2, 9, 11), (2, 3, 70, 70), (1, 2, 3, 2, 2))


def with_gradients(function, x, *affine, **kwargs):
    """The output and the gradients of x and the affine parameters for a fixed grad_output."""
    leaves = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in (x, *affine)]
    running = kwargs.pop("running", (None, None))
    y = function(leaves[0], *running, *leaves[1:], **kwargs)
    grad = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    return [y, *torch.autograd.grad(y, leaves, grad)]


def error(ours, exact):
    """The largest error relative to the largest entry."""
    return float((ours.detach().double() - exact.detach()).abs().max() / exact.detach().abs().max())


@pytest.mark.parametrize("backend", ("cpp", "cpp:1"))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_mean_costs_no_digits(shape, backend):
    x, weight, bias = torch.randn(shape) + 1e4, torch.randn(shape[1]), torch.randn(shape[1])
    x[0] += 100  # so that the first sample is no guide to the others
    exact = with_gradients(F.batch_norm, *(t.double() for t in (x, weight, bias)), training=True)
    with scratchnet.backend(backend):
        ours = with_gradients(batch_norm, x, weight, bias, training=True)
    errors = [error(a, b) for a, b in zip(ours, exact, strict=True)]
    assert max(errors) < 5e-6, errors  # torch's: up to 4e-3


@pytest.mark.parametrize("backend", ("cpp", "cpp:1"))
@pytest.mark.parametrize("value", (0.1, 12345.678, -3e-20, 1e30))
@pytest.mark.parametrize("shape", ((30, 3), (3, 3, 40), (2, 3, 90, 90)))
def test_a_constant_channel_becomes_the_bias(shape, value, backend):
    bias = torch.randn(3)
    with scratchnet.backend(backend):
        y = batch_norm(torch.full(shape, value), None, None, torch.randn(3), bias, training=True)
    assert torch.equal(y, bias.view(1, 3, *(1,) * (len(shape) - 2)).expand(shape))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("momentum", (0.1, 0.0, 1.0, -1.2, 0.7))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16), ids=str)
def test_running_statistics_move_as_torchs(dtype, momentum, backend):
    ours = [torch.randn(4).to(dtype), torch.rand(4).to(dtype)]
    for step in range(3):
        x = (torch.randn(5, 4, 3) * 3 + step).to(dtype)
        theirs = [t.double() for t in ours]
        with scratchnet.backend(backend):
            y = batch_norm(x, *ours, training=True, momentum=momentum)
        torch.testing.assert_close(y, F.batch_norm(x.double(), *theirs, training=True, momentum=momentum).to(dtype))
        torch.testing.assert_close(ours, [t.to(dtype) for t in theirs])
    before = copy.deepcopy(ours)
    batch_norm(torch.randn(5, 4, 3).to(dtype), *ours)
    assert all(map(torch.equal, ours, before))  # in eval mode they are only read


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("bad", (float("nan"), float("inf"), -float("inf")))
@pytest.mark.parametrize("shape", ((6, 5), (3, 5, 40)))
def test_nan_and_infinity_spoil_the_entries_that_they_spoil_in_torch(shape, bad, training, backend):
    x, weight, bias = torch.randn(shape), torch.randn(5), torch.randn(5)
    x[1, 3] = bad
    options = {"training": training, "running": (torch.randn(5), torch.rand(5))}
    expected = with_gradients(F.batch_norm, x, weight, bias, **copy.deepcopy(options))
    with scratchnet.backend(backend):
        actual = with_gradients(batch_norm, x, weight, bias, **options)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)


@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize("wanted", ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2)))
@pytest.mark.parametrize("shape", ((40, 5), (3, 5, 40)))
def test_each_set_of_gradients_alone(shape, wanted, training):
    inputs = [torch.randn(shape), torch.randn(5), torch.randn(5)]
    running = (torch.randn(5), torch.rand(5))

    def gradients(function):
        leaves = [t.clone().requires_grad_(i in wanted) for i, t in enumerate(inputs)]
        y = function(leaves[0], *running, *leaves[1:], training=training)
        return torch.autograd.grad(y, [leaves[i] for i in wanted], torch.cos(y.detach()))

    for a, b in zip(gradients(batch_norm), gradients(F.batch_norm), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("shape", ((1000, 133), (64, 70, 5), (16, 40, 100), (2, 3, 150, 150)))
def test_the_number_of_threads_changes_no_bit(shape):
    x, weight, bias = torch.randn(shape), torch.randn(shape[1]), torch.randn(shape[1])
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(with_gradients(batch_norm, x, weight, bias, training=True))
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_memory_format(backend):
    x = torch.randn(3, 4, 5, 6).to(memory_format=torch.channels_last)
    with scratchnet.backend(backend):
        ours = with_gradients(batch_norm, x, torch.randn(4), torch.randn(4), training=True)[1]
    assert ours.shape == x.shape
    with scratchnet.backend(backend):
        y = batch_norm(x, None, None, training=True)
    torch.testing.assert_close(y, F.batch_norm(x, None, None, training=True))


@pytest.mark.parametrize("training", (True, False))
def test_expanded_parameters_with_no_backend_named(training):
    """torch's own runs on small inputs; its backward would read past the end of a weight of stride 0."""
    x, weight = torch.randn(14, 32, requires_grad=True), torch.full((1,), 0.7, requires_grad=True)
    statistics, incoming = torch.full((1,), 0.5), torch.randn(14, 32)

    def gradients(function, whole):
        running = whole(statistics.expand(32))
        y = function(x, running.clone() if training else running, running.clone(), whole(weight.expand(32)), None, training)
        return torch.autograd.grad(y, (x, weight), incoming)

    with scratchnet.backend(None):
        ours = gradients(batch_norm, lambda t: t)
    torch.testing.assert_close(ours, gradients(F.batch_norm, torch.Tensor.contiguous))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("training", (True, False))
def test_half_precision_with_float32_parameters_as_in_torch(training, backend):
    x, weight, bias = torch.randn(5, 4, 3).bfloat16(), torch.randn(4), torch.randn(4)
    ours = [torch.zeros(4), torch.ones(4)]
    theirs = copy.deepcopy(ours)
    with scratchnet.backend(backend):
        y = batch_norm(x, *ours, weight, bias, training)
    expected = F.batch_norm(x, *theirs, weight, bias, training)
    assert y.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", ((0, 5), (0, 5, 3), (4, 5, 0)))
def test_empty_inputs(shape, backend):
    running = [torch.randn(5), torch.rand(5)]
    before = copy.deepcopy(running)
    for training in (True, False):
        with scratchnet.backend(backend):
            y, dx, dweight, dbias = with_gradients(
                batch_norm, torch.ones(shape), torch.ones(5), torch.ones(5), training=training, running=running
            )
        assert y.shape == dx.shape == shape and not dweight.any() and not dbias.any()
    assert all(map(torch.equal, running, before))


def test_compiled_with_running_statistics():
    """In one graph, which updates the running statistics."""
    weight, x = torch.randn(4, requires_grad=True), torch.randn(6, 4, 3)
    ours, theirs = ([torch.zeros(4), torch.ones(4)] for _ in range(2))
    run = torch.compile(lambda x, w: batch_norm(x, *ours, w, training=True), fullgraph=True, backend="aot_eager")
    for step in range(2):
        y, expected = run(x + step, weight), F.batch_norm(x + step, *theirs, weight, training=True)
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(ours, theirs)
    grads = (torch.autograd.grad(t.square().sum(), weight) for t in (y, expected))
    torch.testing.assert_close(next(grads), next(grads))


X = torch.ones(3, 5, 2)
WRONG = {
    "one sample": lambda f: f(torch.ones(1, 5), None, None, training=True),
    "one sample, one pixel": lambda f: f(torch.ones(1, 5, 1, 1), None, None, training=True),
    "no running statistics": lambda f: f(X, None, None),
    "no running variance": lambda f: f(X, torch.ones(5), None),
    "one running statistic in training": lambda f: f(X, torch.ones(5), None, training=True),
    "running size": lambda f: f(X, torch.ones(4), torch.ones(5)),
    "weight size": lambda f: f(X, None, None, torch.ones(3), training=True),
    "bias size": lambda f: f(X, None, None, None, torch.ones(3), training=True),
    "eps": lambda f: f(X, None, None, training=True, eps=0.0),
    "negative eps": lambda f: f(X, torch.ones(5), torch.ones(5), eps=-1e-5),
    "momentum None": lambda f: f(X, None, None, training=True, momentum=None),
    "integers": lambda f: f(X.long(), None, None, training=True),
    "one axis": lambda f: f(torch.ones(3), None, None, training=True),
    "float64 weight": lambda f: f(X, None, None, torch.ones(5).double(), training=True),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_torchs(name):
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)) as theirs:
        WRONG[name](F.batch_norm)
    with pytest.raises(theirs.type, match=r"^batch_norm\(\): argument '"):
        WRONG[name](batch_norm)


@pytest.mark.parametrize("shape", ((6, 2), (2, 2, 70)))  # short runs, long ones
@pytest.mark.parametrize("value", (torch.inf, -torch.inf, torch.nan, 3e38, -1e30))
@pytest.mark.parametrize("backend", BACKENDS[:2])
def test_statistics_of_numbers_that_are_not_finite_or_huge(shape, value, backend):
    """A channel with an infinity has an infinite mean; the square of 1e30 is beyond float32's range, y is not."""
    x = torch.randn(shape)
    x[(1, 0, 5)[: x.dim()]] = value
    moved = []
    for function, dtype in ((F.batch_norm, torch.float64), (batch_norm, torch.float32)):
        mean, var = torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype)
        with scratchnet.backend(backend):
            y = function(x.to(dtype), mean, var, None, None, True, 1.0, 1e-5)
        moved.append((mean.float(), var.float(), y.float()))
    for ours, exact in zip(moved[1], moved[0], strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("shape", ((6, 2), (2, 2, 70)))
def test_infinite_parameters_and_statistics(shape):
    """inf - inf in the shift must not turn an infinite result into NaN: x stays on one side of an infinite mean."""
    x, inf = torch.randn(shape), torch.tensor([torch.inf, 1.0])
    with scratchnet.backend("cpp"):
        running = batch_norm(x, inf, torch.ones(2), None, None, False)
        scaled = batch_norm(x, None, None, inf, torch.ones(2), True)
    assert running.select(1, 0).eq(-torch.inf).all() and running.select(1, 1).isfinite().all()
    centred = x.select(1, 0) - x.select(1, 0).mean()
    assert torch.equal(scaled.select(1, 0), centred.sign() * torch.inf)
