"""step(max_norm=...) is clip_grad_norm_ and then step, for every rule, and leaves the gradients alone."""

import copy
import inspect
import math

import pytest
import torch
from test_optimizers import NAMES, parameters, set_gradients
from torch.testing import assert_close

import scratchnet
from scratchnet import nn, optim

BACKENDS = ["reference", "cpp:1", "cpp:2", "torch"]
EVERY = [*NAMES, "Muon", "AdamW8bit"]


def start(name, dtype=torch.float32):
    """The parameters of a rule: Muon takes matrices."""
    return [p for p in parameters(dtype) if name != "Muon" or p.ndim == 2]


def train(name, dtype, max_norm, fused, options=None):
    params = start(name, dtype)
    groups = [{"params": params[:1], "lr": 0.05}, {"params": params[1:]}]
    optimizer = getattr(optim, name)(groups, lr=0.01, **(options or {}))
    norms = []
    for step in range(4):
        set_gradients(params, step)
        if fused:
            before = [None if p.grad is None else p.grad.clone() for p in params]
            optimizer.step(max_norm=max_norm)
            norms.append(optimizer.grad_norm)
            for p, grad in zip(params, before, strict=True):
                assert p.grad is None if grad is None else torch.equal(p.grad, grad)
        else:
            norms.append(nn.utils.clip_grad_norm_(params, max_norm))
            optimizer.step()
    return params, norms


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("max_norm", [0.02, 1e9])
@pytest.mark.parametrize("name", EVERY)
def test_clip_and_step(name, max_norm, backend):
    if (name, backend) == ("AdamW8bit", "torch"):
        return  # torch has none
    with scratchnet.backend(backend):
        (ours, norms), (twins, wanted) = (train(name, torch.float32, max_norm, fused) for fused in (True, False))
    assert_close(norms, wanted, rtol=0, atol=0)
    assert min(wanted) > 0.03
    bound = 1e-6 + (0.05 * 2 * 16 * torch.finfo(torch.bfloat16).eps if name == "Muon" else 0)
    for p, q in zip(ours, twins, strict=True):
        if name == "AdamW8bit":
            # A kernel may fuse the factor into the next operation, and a chance then falls on the other side. One of them is
            # allowed: codes are 1/8 apart, m counts whole and v by its root, less than 1/4 of a step of 0.05 together.
            assert_close(p, q, rtol=0, atol=0.05 / 4)
        else:
            assert_close(p, q, rtol=bound, atol=bound)
    if name == "SGD" and max_norm == 0.02:
        moved = [(p - q).norm() / (0.05 if k == 0 else 0.01) for k, (p, q) in enumerate(zip(ours, start(name), strict=True))]
        assert 0.02 < math.hypot(*moved) <= 4 * 0.02 * 1.01


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_dtypes(dtype):
    """In bfloat16 at least as near to float64 as with gradients that are rounded once more."""
    results = {}
    for backend in ("cpp:2", "reference"):
        with scratchnet.backend(backend):
            results[backend], _ = train("AdamW", dtype, 0.5, True)
    twins, _ = train("AdamW", dtype, 0.5, False)
    for p, q, r in zip(results["cpp:2"], results["reference"], twins, strict=True):
        bound = 8 * torch.finfo(dtype).eps
        assert_close(p, q, rtol=bound, atol=bound)
        assert_close(p, r, rtol=bound, atol=bound)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_norms_that_are_not_finite_or_zero(backend, value):
    results = []
    for fused in (True, False):
        p = torch.nn.Parameter(torch.ones(5))
        p.grad = torch.tensor([1.0, 2.0, value, 0.0, -1.0]) * (value != 0)
        optimizer = optim.SGD([p], lr=0.1)
        with scratchnet.backend(backend):
            if fused:
                optimizer.step(max_norm=1.0)
            else:
                nn.utils.clip_grad_norm_([p], 1.0)
                optimizer.step()
        results.append(p.detach())
    assert_close(*results, equal_nan=True)


def test_complex_and_no_gradients():
    optimizer = optim.SGD([torch.nn.Parameter(torch.ones(2))])
    optimizer.step(max_norm=1.0)
    assert optimizer.grad_norm == 0
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.complex64))
    p.grad = torch.tensor([3.0 + 4.0j])
    optim.SGD([p], lr=1.0).step(max_norm=1.0)
    assert_close(p.detach(), torch.tensor([-0.6 - 0.8j]), rtol=1e-6, atol=1e-6)


def test_closure_hooks_and_schedules():
    """A closure makes the gradients that are clipped; hooks and a GradScaler hand the argument on."""
    p = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = optim.SGD([p], lr=1.0)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    calls = []
    optimizer.register_step_post_hook(lambda *args: calls.append(args[2]))

    def closure():
        optimizer.zero_grad()
        loss = 5 * p.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure, max_norm=1.0).item() == 125 and optimizer.grad_norm == 50
    assert calls == [{"max_norm": 1.0}]
    assert_close(p.detach(), torch.tensor([3.0 - 0.6, 4.0 - 0.8]))
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    optimizer.zero_grad()
    scaler.scale(p.sum()).backward()
    scaler.step(optimizer, max_norm=1.0)
    assert_close(optimizer.grad_norm, torch.tensor(math.sqrt(2)))


def test_compiled():
    results = []
    for compiled in (False, True):
        params = parameters()
        optimizer = optim.AdamW(params, lr=0.01)
        step = torch.compile(optimizer.step, backend="eager") if compiled else optimizer.step
        set_gradients(params, 1)
        step(max_norm=0.1)
        results.append(params)
    for a, b in zip(*results, strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "max_norm", "error", "message"),
    [
        ({}, -1.0, ValueError, r"SGD.step\(\): argument 'max_norm': must be 0 or larger, but is -1.0"),
        ({}, math.nan, ValueError, "must be 0 or larger, but is nan"),
        ({"differentiable": True}, 1.0, RuntimeError, "`max_norm` does not support `differentiable`"),
    ],
)
def test_wrong_calls_write_nothing(options, max_norm, error, message):
    p = torch.ones(3)
    p.grad = torch.ones(3)
    optimizer = optim.SGD([p], **copy.deepcopy(options))
    with pytest.raises(error, match=message):
        optimizer.step(max_norm=max_norm)
    assert torch.equal(p, torch.ones(3)) and torch.equal(p.grad, torch.ones(3))


def test_step_is_torchs_without_it():
    ours = inspect.signature(inspect.unwrap(optim.SGD.step)).parameters
    assert list(ours) == ["self", "closure", "max_norm"] and ours["max_norm"].default is None
    assert ours["max_norm"].kind is inspect.Parameter.KEYWORD_ONLY
