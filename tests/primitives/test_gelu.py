"""What is special to GELU: its tails, infinities and NaN, and the fused forms that share it."""

import pytest
import torch
import torch.nn.functional as F
from cases import rungs

import scratchnet

APPROXIMATE = ("none", "tanh")


@pytest.fixture(params=rungs("gelu"), autouse=True)
def backend(request):
    with scratchnet.backend(request.param):
        yield


@pytest.mark.parametrize("approximate", APPROXIMATE)
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32), ids=str)
def test_tail_keeps_its_digits(dtype, approximate):
    """x Phi(x) far below zero, where the 1 + erf and 1 + tanh of torch cancel: relative to each value, not to the largest."""
    x = torch.linspace(-6, 6, 997, dtype=dtype)
    wide = x.double()
    if approximate == "none":
        exact = wide * 0.5 * torch.erfc(-wide * 0.5**0.5)
    else:
        exact = wide * torch.sigmoid(2 * (2 / torch.pi) ** 0.5 * (wide + 0.044715 * wide**3))
    relative = ((scratchnet.gelu(x, approximate).double() - exact) / exact.where(exact != 0, 1)).abs().max()
    # the exponent is up to 30, and rounding it costs up to 30 half ulp
    assert relative <= 64 * torch.finfo(dtype).eps
    if dtype == torch.float32:
        theirs = ((F.gelu(x, approximate=approximate).double() - exact) / exact.where(exact != 0, 1)).abs().max()
        assert relative < theirs


@pytest.mark.parametrize("approximate", APPROXIMATE)
def test_special_values(approximate):
    """As in torch's formula in float64: gelu(inf) = inf, gelu(-inf) = -inf * 0 = NaN; huge values give x or 0."""
    x = torch.tensor([torch.inf, -torch.inf, torch.nan, 0.0, -0.0, 1e30, -1e30, 1e-40, 3e38], requires_grad=True)
    y = scratchnet.gelu(x, approximate)
    expected = [torch.inf, torch.nan, torch.nan, 0.0, -0.0, 1e30, -0.0, 0.5e-40, 3e38]
    torch.testing.assert_close(y.detach(), torch.tensor(expected), equal_nan=True, rtol=1e-6, atol=1e-45)
    assert torch.equal(y.detach()[3:5].signbit(), torch.tensor([False, True]))
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert dx[:3].isnan().all() and torch.equal(dx[3:5], torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("backend", ("cpp", "cpp:1"), indirect=True)  # a middle rung takes its gates from the rung below
@pytest.mark.parametrize("approximate", APPROXIMATE)
def test_the_gates_are_gelu(approximate):
    """bias_gelu and geglu are compositions; fused, they give the composition's bits up to the rounding of x + bias."""
    x, bias = torch.randn(33, 130), torch.randn(130)
    torch.testing.assert_close(
        scratchnet.bias_gelu(x, bias, approximate), scratchnet.gelu(x + bias, approximate), rtol=0, atol=0
    )
    first, gate = x.chunk(2, 1)
    torch.testing.assert_close(scratchnet.geglu(x, 1, approximate), first * scratchnet.gelu(gate, approximate))
