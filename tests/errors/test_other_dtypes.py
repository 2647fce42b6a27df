"""A tensor of another dtype among the arguments: taken with torch's result, or refused in words that name the argument."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

import scratchnet
from scratchnet.measure.verify import as_tuple, function
from scratchnet.ops import OPS

DTYPES = (torch.int64, torch.int32, torch.bool, torch.complex64, torch.float64, torch.float16)


def tensors(args: tuple, kwargs: dict) -> list[int | str]:
    return [place for place, value in (*enumerate(args), *kwargs.items()) if isinstance(value, Tensor)]


CALLS = [(name, place) for name, op in OPS.items() for place in tensors(*next(iter(op.examples.values()))(4, 6, torch.float32))]


@pytest.mark.filterwarnings("ignore:.*Mismatch dtype", "ignore:.*Casting complex")
@pytest.mark.parametrize("backend", [None, "cpp", "reference"], ids=["default", "cpp", "reference"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, place", CALLS)
def test_another_dtype_is_taken_or_explained(name, place, dtype, backend):
    op = OPS[name]
    args, kwargs = next(iter(op.examples.values()))(4, 6, torch.float32)
    args = list(args)
    arguments = args if isinstance(place, int) else kwargs
    arguments[place] = arguments[place].detach().mul(2).to(dtype)
    with scratchnet.backend(backend):
        try:
            ours = as_tuple(function(op)(*args, **kwargs))
        except Exception as error:
            assert re.match(rf"{function(op).__name__}\(\): argument '\w+': ", str(error)), error
            return
    with torch.no_grad():
        theirs = as_tuple(op.torch(*args, **kwargs))
    floats = [t for t in (*args, *kwargs.values()) if isinstance(t, Tensor) and t.is_floating_point()]
    rounding = max(torch.finfo(t.dtype).eps for t in (*floats, torch.empty(0)))  # of the coarsest: a cast does not undo it
    for y, own in zip(ours, theirs, strict=True):
        # Relative to the largest entry: results near 0 are differences of larger numbers.
        atol = 8 * rounding * own.double().abs().max().item() if own.is_floating_point() else 0
        # torch has no bias_gelu; ours has the dtype of its input
        torch.testing.assert_close(y.detach(), own, rtol=0, atol=atol, check_dtype=name != "bias_gelu")


@pytest.mark.filterwarnings("ignore:.*Mismatch dtype")
@pytest.mark.parametrize("backend", [None, "cpp"], ids=["default", "cpp"])
@pytest.mark.parametrize("dtype", DTYPES[:3], ids=str)
def test_rms_norm_takes_a_weight_of_integers_as_torch(dtype, backend):
    x, weight = torch.linspace(-1, 2, 12).reshape(3, 4).requires_grad_(), torch.tensor([0, 1, 2, 3]).to(dtype)
    with scratchnet.backend(backend):
        ours = scratchnet.rms_norm(x, (4,), weight)
    theirs = torch.nn.functional.rms_norm(x, (4,), weight)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), x) for y in (ours, theirs)))
