"""What is special to LayerNorm and RMSNorm: large means, constant and long rows, NaN and infinity, eps, errors, threads."""

import pytest
import torch
import torch.nn.functional as F
from cases import rungs

import scratchnet
from scratchnet.functions.layer_norm import add_layer_norm, layer_norm, rms_norm

RUNGS = rungs("layer_norm")
BACKENDS = (*RUNGS, "reference")
NORMS = ((layer_norm, F.layer_norm), (rms_norm, F.rms_norm))


def with_gradients(function, inputs, *args, **kwargs):
    """The outputs of function(*inputs[:1], *args, *inputs[1:]) and the gradients of every input for a fixed grad_output."""
    leaves = [t.detach().clone().requires_grad_() for t in inputs]
    outputs = function(leaves[0], *args, *leaves[1:], **kwargs)
    grad = torch.linspace(-1, 2, outputs.numel(), dtype=torch.float64).reshape(outputs.shape).to(outputs.dtype)
    return [outputs, *torch.autograd.grad(outputs, leaves, grad)]


def error(ours, exact):
    """The largest error relative to the largest entry."""
    return float((ours.detach().double() - exact.detach()).abs().max() / exact.detach().abs().max())


@pytest.mark.parametrize("backend", RUNGS)
@pytest.mark.parametrize("shape", ((6, 768), (3, 20011), (2, 70000), (40, 7)))
def test_a_large_mean_costs_no_digits(shape, backend):
    x, weight, bias = torch.randn(shape) + 1e4, torch.randn(shape[1]), torch.randn(shape[1])
    exact = with_gradients(F.layer_norm, [t.double() for t in (x, weight, bias)], (shape[1],))
    with scratchnet.backend(backend):
        ours = with_gradients(layer_norm, (x, weight, bias), (shape[1],))
    errors = [error(a, b) for a, b in zip(ours, exact, strict=True)]
    assert max(errors) < 2e-6, errors


@pytest.mark.parametrize("backend", RUNGS)
@pytest.mark.parametrize("value", (0.1, 12345.678, -3e-20, 1e30))
def test_a_constant_row_becomes_the_bias(value, backend):
    bias = torch.randn(1000)
    with scratchnet.backend(backend):
        y = layer_norm(torch.full((3, 1000), value), (1000,), torch.randn(1000), bias)
    assert torch.equal(y, bias.expand(3, 1000))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_of_one_number_becomes_the_bias(backend):
    x, weight, bias = torch.randn(5, 1), torch.randn(1), torch.randn(1)
    with scratchnet.backend(backend):
        y, dx, dweight, dbias = with_gradients(layer_norm, (x, weight, bias), (1,))
    assert torch.equal(y, bias.expand(5, 1)) and torch.equal(dx, torch.zeros(5, 1)) and torch.equal(dweight, torch.zeros(1))
    torch.testing.assert_close(dbias, torch.linspace(-1, 2, 5).sum().reshape(1))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", ((0, 5), (4, 0), (0, 0), (2, 0, 3)))
def test_empty_inputs(shape, backend):
    weight = torch.ones(shape[-1])
    for own, torchs in NORMS:
        with scratchnet.backend(backend):
            ours = with_gradients(own, (torch.ones(shape), weight), (shape[-1],))
        expected = with_gradients(torchs, (torch.ones(shape), weight), (shape[-1],))
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("own, torchs", NORMS)
@pytest.mark.parametrize("bad", (float("nan"), float("inf"), -float("inf")))
def test_nan_and_infinity_spoil_the_entries_that_they_spoil_in_torch(bad, own, torchs, backend):
    x = torch.randn(4, 37)
    x[1, 3] = x[2, 36] = bad
    weight = torch.randn(37)
    with scratchnet.backend(backend):
        ours = with_gradients(own, (x, weight), (37,))
    for a, b in zip(ours, with_gradients(torchs, (x, weight), (37,)), strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16, torch.float16))
def test_rms_norm_takes_its_eps_from_the_dtype_computed_in(dtype, backend):
    x = (torch.randn(16, 64) * 1e-4).to(dtype)
    with scratchnet.backend(backend):
        y = rms_norm(x, (64,))
    torch.testing.assert_close(y, F.rms_norm(x, (64,)))
    assert float((y - F.rms_norm(x, (64,), eps=1e-5)).abs().max()) > 0.01


@pytest.mark.parametrize("backend", BACKENDS)
def test_bias_without_weight(backend):
    x, bias = torch.randn(6, 33), torch.randn(33)
    with scratchnet.backend(backend):
        ours = with_gradients(lambda x, shape, bias: layer_norm(x, shape, None, bias), (x, bias), (33,))
    expected = with_gradients(lambda x, shape, bias: F.layer_norm(x, shape, None, bias), (x, bias), (33,))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("wanted", ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)))
def test_each_set_of_gradients_alone(wanted):
    inputs = [torch.randn(40, 50), torch.randn(50), torch.randn(50)]

    def gradients(function):
        leaves = [t.clone().requires_grad_(i in wanted) for i, t in enumerate(inputs)]
        y = function(leaves[0], (50,), leaves[1], leaves[2])
        return torch.autograd.grad(y, [leaves[i] for i in wanted], torch.cos(y.detach()))

    for a, b in zip(gradients(layer_norm), gradients(F.layer_norm), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_add_layer_norm_is_the_sum_and_its_norm(backend):
    x, residual, weight, bias = torch.randn(9, 40), torch.randn(9, 40), torch.randn(40), torch.randn(40)
    grads = torch.randn(9, 40), torch.randn(9, 40)

    def run(function):
        leaves = [t.clone().requires_grad_() for t in (x, residual, weight, bias)]
        outputs = function(*leaves[:2], (40,), *leaves[2:])
        return [*outputs, *torch.autograd.grad(outputs, leaves, grads)]

    with scratchnet.backend(backend):
        ours = run(add_layer_norm)
    for a, b in zip(ours, run(lambda x, r, shape, w, b: (x + r, F.layer_norm(x + r, shape, w, b))), strict=True):
        torch.testing.assert_close(a, b)


def test_the_two_terms_of_a_sum_do_not_share_one_gradient():
    x, residual = torch.randn(3, 8, requires_grad=True), torch.randn(3, 8, requires_grad=True)
    add_layer_norm(x, residual, (8,))[1].square().sum().backward()
    assert torch.equal(x.grad, residual.grad)
    x.grad.zero_()
    assert residual.grad.abs().max() > 0


@pytest.mark.parametrize("shape", ((1000, 33), (3, 300_000), (200, 768)))
@pytest.mark.parametrize("own, torchs", NORMS)
def test_the_number_of_threads_changes_no_bit(shape, own, torchs):
    x, weight = torch.randn(shape), torch.randn(shape[1])
    results = []
    for threads in (1, *[2] * 9):  # a race shows now and then
        torch.set_num_threads(threads)
        results.append(with_gradients(own, (x, weight), (shape[1],)))
    assert all(torch.equal(a, b) for more in results[1:] for a, b in zip(results[0], more, strict=True))
    exact = with_gradients(torchs, (x.double(), weight.double()), (shape[1],), eps=1e-5 if own is layer_norm else 2.0**-23)
    assert all(error(a, b) < 2e-6 for a, b in zip(results[0], exact, strict=True))


def test_half_precision_with_float32_parameters_as_in_torch():
    x, weight, bias = torch.randn(5, 12).bfloat16(), torch.randn(12), torch.randn(12)
    y = layer_norm(x, (12,), weight, bias)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, F.layer_norm(x, (12,), weight, bias))


X = torch.ones(3, 5)
WRONG = {
    "int shape": lambda f: f(X, 5),
    "float in shape": lambda f: f(X, (5.0,)),
    "no shape": lambda f: f(X, ()),
    "other shape": lambda f: f(X, (4,)),
    "more axes than input": lambda f: f(X, (2, 3, 5)),
    "weight shape": lambda f: f(X, (5,), torch.ones(4)),
    "weight is a list": lambda f: f(X, (5,), [1.0] * 5),
    "input is a list": lambda f: f([1.0], (1,)),
    "eps is a string": lambda f: f(X, (5,), eps="a"),
    "integers": lambda f: f(X.long(), (5,)),
}


@pytest.mark.parametrize("own, torchs", NORMS)
@pytest.mark.parametrize("name", WRONG)
def test_errors_are_torchs(name, own, torchs):
    with pytest.raises((RuntimeError, TypeError, ValueError)) as torchs_error:
        WRONG[name](torchs)
    with pytest.raises(torchs_error.type, match=rf"^{own.__name__}\(\): argument '"):
        WRONG[name](own)


def test_messages_name_what_came_and_what_is_needed():
    with pytest.raises(RuntimeError, match=r"Given normalized_shape=\[4\], .* with shape \[\*, 4\], .* size\[3, 5\]"):
        layer_norm(X, (4,))
    with pytest.raises(RuntimeError, match=r"mixed dtype: weight is torch.float64, but input is torch.float32"):
        layer_norm(X, (5,), torch.ones(5, dtype=torch.float64))
    with pytest.raises(RuntimeError, match=r"'residual': must have input's shape, got \(5,\) and \(3, 5\)"):
        add_layer_norm(X, torch.ones(5), (5,))
    with pytest.raises(RuntimeError, match="bias of shape"):
        layer_norm(X, (5,), None, torch.ones(4))


@pytest.mark.parametrize("backend", ("cpp", "cpp:1"))
@pytest.mark.parametrize("function", ("layer_norm", "rms_norm"))
@pytest.mark.parametrize("row", ((3e38, -3e38, 0.0), (1e30, -1e30, 1e29), (3e38, 1.0, 2.0), (2e19, -2e19, 1.0)))
def test_rows_whose_squares_pass_the_range_of_float32(row, function, backend):
    """Their sums are taken in float64; in float32 they would be infinite, and 1 / inf would turn the row into zeros."""
    x = torch.tensor([row])
    exact = getattr(F, function)(x.double(), (3,)).float()
    with scratchnet.backend(backend):
        torch.testing.assert_close(getattr(scratchnet.nn.functional, function)(x, (3,)), exact, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("backend", RUNGS)
def test_the_mean_of_many_equal_squares_keeps_its_digits(backend):
    """Each addition of the same number rounds the same way: one chain of 26,640 loses 200 ulp."""
    x = torch.full((3, 26_640), 0.3, dtype=torch.float64)
    with scratchnet.backend(backend):
        y = rms_norm(x, (26_640,), eps=0.01)
    exact = 0.3 / (0.3**2 + 0.01) ** 0.5
    assert (y - exact).abs().max() <= 64 * torch.finfo(torch.float64).eps
