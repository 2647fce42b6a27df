"""What is special to gated units: tails, infinities and NaN, which half is the gate, and what ReLU does not let through."""

import pytest
import torch
import torch.nn.functional as F
from cases import rungs

import scratchnet
from scratchnet.ops.gated import GATES_BY

INF, NAN = torch.inf, torch.nan
OWN = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
SELF = {
    "silu": F.silu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "squared_relu": lambda x: F.relu(x).square(),
}
SPECIAL = [INF, -INF, NAN, 0.0, -0.0, 1e30, -1e30, 1e-40, 3e38, -3e38, 90.0, -90.0, 104.0, -104.0]


@pytest.fixture(params=rungs("gated"), autouse=True)
def backend(request):
    with scratchnet.backend(request.param):
        yield


def exact(y, x):
    """y and its gradient in x, for a formula in float64."""
    return y.detach(), torch.autograd.grad(y, x, torch.ones_like(y))[0]


@pytest.mark.parametrize("name", SELF)
def test_special_values(name):
    """As torch's formula in float64: silu(-inf) = -inf * 0 = NaN, huge values give x or 0, and no exponential overflows."""
    x = torch.tensor(SPECIAL, requires_grad=True)
    wide = x.detach().double().requires_grad_()
    ours, wanted = exact(getattr(scratchnet, name)(x), x), exact(SELF[name](wide), wide)
    if name == "quick_gelu":  # torch's formula multiplies 1.702 x by a zero, where the product is not yet infinite
        wanted[1][[8, 9]] = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for mine, theirs in zip(ours, wanted, strict=True):
        torch.testing.assert_close(mine, theirs.float(), equal_nan=True, rtol=2e-6, atol=1e-37)
    assert ours[0][3:5].signbit().tolist()[1] == (name != "squared_relu")


@pytest.mark.parametrize("name", ("silu", "quick_gelu"))
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32), ids=str)
def test_tail_keeps_its_digits(name, dtype):
    """Relative to each value, not to the largest: the exponential is computed, never 1 minus something near 1."""
    scale = 1.702 if name == "quick_gelu" else 1.0
    x = torch.linspace(-40, 40, 997, dtype=dtype, requires_grad=True)
    wide = x.detach().double()
    s, rest = torch.sigmoid(scale * wide), torch.sigmoid(-scale * wide)
    y, dx = exact(getattr(scratchnet, name)(x), x)
    assert ((y.double() - wide * s) / (wide * s)).abs().max() <= 64 * torch.finfo(dtype).eps  # rounding the exponent: up to 68
    slope = s + scale * wide * s * rest
    far = slope.abs() > 1e-3 * s  # not where the two terms cancel
    assert ((dx.double() - slope) / slope)[far].abs().max() <= 4096 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16, torch.float16), ids=str)
def test_silu_keeps_torchs_options(dtype):
    """Complex numbers, and the input's memory when asked for."""
    x = torch.randn(7, dtype=torch.float64).to(dtype)
    overwritten = x.clone()
    assert scratchnet.silu(overwritten, inplace=True) is overwritten
    assert torch.equal(overwritten, F.silu(x))
    z = torch.randn(3, dtype=torch.complex64)
    torch.testing.assert_close(scratchnet.silu(z), F.silu(z))
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        scratchnet.silu(x.requires_grad_(), inplace=True)


@pytest.mark.parametrize("activation", GATES_BY)
def test_which_half_is_the_gate(activation):
    """One loop for all: joined or apart, either half first, along any dim, to the bit."""
    gate, value, grad = torch.randn(3, 33, 130).unbind()
    wanted = scratchnet.gated(gate, value, activation)
    torch.testing.assert_close(wanted, OWN[activation](gate) * value)
    leaves = [t.clone().requires_grad_() for t in (gate, value)]
    dgate, dvalue = torch.autograd.grad(scratchnet.gated(*leaves, activation), leaves, grad)
    for gate_first in (False, True):
        for dim in (0, 1, -1):
            pair = (gate, value) if gate_first else (value, gate)
            x = torch.cat(pair, dim).requires_grad_()
            y = scratchnet.glu(x, dim, activation, gate_first)
            assert torch.equal(y, wanted)
            (dx,) = torch.autograd.grad(y, x, grad)
            assert torch.equal(dx, torch.cat((dgate, dvalue) if gate_first else (dvalue, dgate), dim))


def test_the_names_keep_the_order_of_their_models():
    a, b = torch.randn(2, 5, 7).unbind()
    x = torch.cat([a, b], 1)
    for ours, wanted in (
        (scratchnet.glu(x), F.glu(x)),
        (scratchnet.glu(x, dim=1), a * torch.sigmoid(b)),
        (scratchnet.geglu(x), a * F.gelu(b)),
        (scratchnet.geglu(x, approximate="tanh"), a * F.gelu(b, approximate="tanh")),
        (scratchnet.reglu(x), a * F.relu(b)),
        (scratchnet.swiglu(x), F.silu(a) * b),
        (scratchnet.gated(a, b), F.silu(a) * b),
    ):
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("activation", GATES_BY)
def test_infinities_and_nan_pass_as_in_torch(activation):
    """In each of gate, value and gradient; where ReLU lets nothing through, an infinite gradient is 0 and not NaN."""
    some = torch.tensor([INF, -INF, NAN, 0.0, -2.0, 3.0], dtype=torch.float64)
    gate, value, grad = (t.flatten() for t in torch.meshgrid(some, some, some, indexing="ij"))
    found = []
    for function in (scratchnet.gated, lambda a, b, k: OWN[k](a) * b):
        leaves = [gate.clone().requires_grad_(), value.clone().requires_grad_()]
        y = function(*leaves, activation)
        found.append([y.detach(), *torch.autograd.grad(y, leaves, grad)])
    torch.testing.assert_close(*found, equal_nan=True)


def test_only_the_needed_gradient_is_computed():
    gate, value = torch.randn(2, 4, 33).unbind()
    for needed in (0, 1):
        leaves = [gate.clone().requires_grad_(needed == 0), value.clone().requires_grad_(needed == 1)]
        y = scratchnet.gated(*leaves)
        wanted = torch.autograd.grad(F.silu(leaves[0]) * leaves[1], leaves[needed], torch.ones_like(y))
        torch.testing.assert_close(torch.autograd.grad(y, leaves[needed], torch.ones_like(y)), wanted)


def test_two_dtypes_give_the_wider_one():
    gate, value = torch.randn(5, dtype=torch.bfloat16), torch.randn(5)
    y = scratchnet.gated(gate, value)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, F.silu(gate.float()) * value)


@pytest.mark.parametrize("backend", ("cpp",), indirect=True)
def test_the_bits_do_not_depend_on_the_threads():
    """A thread may begin in the middle of a row, where no register's boundary is."""
    threads, found = torch.get_num_threads(), []
    x = torch.randn(3, 2 * 50021, requires_grad=True)
    grad = torch.randn(3, 50021)
    try:
        for count in (1, 2, 3, 7):
            torch.set_num_threads(count)
            y = scratchnet.swiglu(x)
            found.append((y.detach(), *torch.autograd.grad(y, x, grad)))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("approximate", ("none", "tanh"))
def test_geglu_multiplies_by_the_gate_last(approximate):
    """a x Phi(x) from left to right would overflow: infinity, and NaN where the gate is 0."""
    largest = torch.finfo(torch.float32).max
    a = torch.full((9,), 3.0)
    gate = torch.tensor([-largest, largest / 4, 1.0]).repeat(3)
    x = torch.cat([a, gate]).requires_grad_()
    y = scratchnet.nn.functional.geglu(x, -1, approximate)
    torch.testing.assert_close(y, a * scratchnet.nn.functional.gelu(gate, approximate))
    (dx,) = torch.autograd.grad(y, x, torch.full((9,), 3.0))
    torch.testing.assert_close(dx[:9], 3 * scratchnet.nn.functional.gelu(gate, approximate))
