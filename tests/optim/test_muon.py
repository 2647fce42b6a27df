"""Muon against torch.optim.Muon and against the same steps in float64."""

import copy
import inspect
import math

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import optim
from scratchnet.optim.muon import orthogonalized

OPTIONS = [
    {},
    {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.8},
    {"lr": torch.tensor(0.05), "nesterov": False},
    {"adjust_lr_fn": "original", "ns_steps": 3},
    {"adjust_lr_fn": "match_rms_adamw", "ns_coefficients": (1.5, -0.5, 0.0), "eps": 1e-4},
]
SHAPES = ((1, 1), (3, 5), (17, 4), (64, 33), (0, 3))
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True, params=["reference", "cpp"])
def backend(request):
    with scratchnet.backend(request.param):
        yield request.param


def exactly(matrix, coefficients=(3.4445, -4.7750, 2.0315), steps=5, eps=1e-7):
    """The polynomial of each singular value, in float64."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    s = s / s.norm().clamp(min=eps)
    for _ in range(steps):
        s = coefficients[0] * s + coefficients[1] * s**3 + coefficients[2] * s**5
    return (u * s) @ v


def torchs(matrix, *options):
    """What torch's Muon makes of a matrix: the step with rate 1 from zero."""
    p = torch.nn.Parameter(torch.zeros_like(matrix))
    p.grad = matrix.clone()
    torch.optim.Muon([p], lr=1.0, momentum=0.0, nesterov=False).step()
    return -p.detach().double() / math.sqrt(max(1, matrix.shape[0] / matrix.shape[1]))


def train(library, options, start, grads):
    params = [torch.nn.Parameter(p.clone()) for p in start]
    optimizer = library.Muon(params, **copy.deepcopy(options))
    for step in grads:
        for p, grad in zip(params, step, strict=True):
            p.grad = grad.clone()
        optimizer.step()
    return params, optimizer


def drawn(dtype, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    start, *grads = [[torch.randn(shape, generator=generator).to(dtype) for shape in SHAPES] for _ in range(steps + 1)]
    return start, grads


@pytest.mark.parametrize("shape", [(5, 5), (33, 130), (200, 64), (601, 530)])
@pytest.mark.parametrize("scale", [1e-3, 1e15])
def test_the_error_of_an_orthogonal_matrix(shape, scale, backend):
    """At most twice torch's, from float64; torch, too, computes in bfloat16. 601 x 530 has strips of unequal height."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * scale
    exact = exactly(matrix)
    ours, theirs = ((result.double() - exact).norm() / exact.norm() for result in (orthogonalized(matrix), torchs(matrix)))
    assert ours <= 2 * theirs + torch.finfo(torch.bfloat16).eps
    assert 0.3 < torch.linalg.matrix_norm(exact, 2) < 1.21


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("options", OPTIONS)
def test_one_step_is_torchs(options, dtype):
    """Within what bfloat16 rounds in the direction; state, order of keys and groups are torch's."""
    start, grads = drawn(dtype, 1)
    (ours, optimizer), (theirs, twin) = (train(library, options, start, grads) for library in (optim, torch.optim))
    assert repr(optimizer) == repr(twin)
    assert list(optimizer.param_groups[0]) == list(twin.param_groups[0]) and list(optimizer.defaults) == list(twin.defaults)
    lr = float(options.get("lr", 1e-3))
    for a, b, old in zip(ours, theirs, start, strict=True):
        state, wanted = optimizer.state[a], twin.state[b]
        assert list(state) == list(wanted) == ["momentum_buffer"]
        if dtype is not torch.bfloat16 or options.get("nesterov", True):  # there torch's step overwrites the momentum
            assert_close(state["momentum_buffer"], wanted["momentum_buffer"], rtol=0, atol=0)
        if a.numel():
            factor = math.sqrt(max(1, a.shape[0] / a.shape[1]))
            factor = 0.2 * math.sqrt(max(a.shape)) if options.get("adjust_lr_fn") == "match_rms_adamw" else factor
            bound = lr * factor * 16 * torch.finfo(torch.bfloat16).eps + torch.finfo(dtype).eps * old.abs().max().item()
            assert_close(a, b, rtol=0, atol=bound)
            assert dtype.itemsize < 4 or not torch.equal(a, old)


def test_many_steps_in_float64_arithmetic():
    """Ten steps from the formula with an exact polynomial: ours are at most twice as far from it as torch's."""
    start, grads = drawn(torch.float32, 10)
    exact, buffers = [p.double() for p in start], [torch.zeros_like(p).double() for p in start]
    for step in grads:
        for p, b, grad in zip(exact, buffers, step, strict=True):
            b.lerp_(grad.double(), 0.05)
            move = exactly(grad.double().lerp(b, 0.95)) if p.numel() else p
            p.mul_(1 - 0.1 * 0.1).sub_(move, alpha=0.1 * (math.sqrt(max(1, p.shape[0] / p.shape[1])) if p.numel() else 1))
    errors = []
    for library in (optim, torch.optim):
        params, _ = train(library, {"lr": 0.1}, start, grads)
        errors.append(sum((p.double() - e).square().sum() for p, e in zip(params, exact, strict=True)).sqrt())
    assert errors[0] <= 2 * errors[1] + 1e-6 and errors[1] > 1e-4


def test_signature_and_state_dict():
    ours, theirs = (inspect.signature(library.Muon).parameters.values() for library in (optim, torch.optim))
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]
    start, grads = drawn(torch.float32, 4)
    for first, second in [(optim, torch.optim), (torch.optim, optim)]:
        params, source = train(first, {"lr": 0.1}, start, grads[:2])
        target = second.Muon([torch.nn.Parameter(p.detach().clone()) for p in params], lr=0.3)
        target.load_state_dict(copy.deepcopy(source.state_dict()))
        assert target.state_dict()["param_groups"] == source.state_dict()["param_groups"]
        for optimizer in (source, target):
            for p, grad in zip(optimizer.param_groups[0]["params"], grads[2], strict=True):
                p.grad = grad
            optimizer.step()
        for a, b in zip(source.param_groups[0]["params"], target.param_groups[0]["params"], strict=True):
            # 16 roundings to bfloat16, of five iterations with three products each, of entries below 1, times the largest step
            assert_close(a, b, rtol=0, atol=0.1 * math.sqrt(5) * 16 * torch.finfo(torch.bfloat16).eps)


def test_strides_threads_and_the_gradient_left_alone(backend):
    """A transposed or sliced parameter takes the step of its copy, and the number of threads changes the last bit at most."""
    values, grad = torch.randn(2, 530, 550, generator=torch.Generator().manual_seed(2))
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        p = torch.nn.Parameter(values.clone())
        p.grad = grad.clone()
        optim.Muon([p], lr=0.1).step()
        assert torch.equal(p.grad, grad)
        results.append(p.detach())
    bound = 0.1 * 16 * torch.finfo(torch.bfloat16).eps
    for result in results:
        assert_close(result, results[0], rtol=0, atol=bound)
    for make in (lambda t: t.t().contiguous().t(), lambda t: torch.stack([t, t], -1)[..., 0]):
        p = torch.nn.Parameter(make(values))
        p.grad = make(grad)
        optim.Muon([p], lr=0.1).step()
        assert not p.is_contiguous()
        assert_close(p.detach(), results[0], rtol=0, atol=bound)


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 1e30])
def test_gradients_that_are_zero_or_not_finite(value):
    """NaN where torch has it; a gradient whose squares overflow moves nothing, as in torch."""
    results = []
    for library in (optim, torch.optim):
        p = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
        p.grad = torch.full((2, 3), value)
        library.Muon([p], lr=0.5).step()
        results.append(p.detach())
    assert_close(*results, equal_nan=True)
    assert results[0].isnan().all() == (not math.isfinite(value))


def test_training_by_it():
    """A linear map is found: the loss falls from 8 to below 0.05, and ours ends where torch's does."""
    losses = []
    for library in (optim, torch.optim):
        torch.manual_seed(0)
        target, x, p = torch.randn(8, 6), torch.randn(64, 8), torch.nn.Parameter(torch.zeros(8, 6))
        optimizer = library.Muon([p], lr=0.2, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, 80)
        for _ in range(80):
            optimizer.zero_grad()
            loss = (x @ p - x @ target).square().mean()
            loss.backward()
            optimizer.step()
            schedule.step()
        losses.append(loss.item())
    assert max(losses) < 0.05 and abs(losses[0] - losses[1]) < 0.01


WRONG = [
    ({"lr": -0.1}, "Learning rate should be >= 0 but is: -0.1"),
    ({"lr": torch.tensor([0.1, 0.2])}, "Tensor lr must be 1-element"),
    ({"momentum": -1.0}, "momentum should be >= 0 but is: -1"),
    ({"weight_decay": -1.0}, "weight decay should be >= 0 but is: -1"),
    ({"adjust_lr_fn": "best"}, "Adjust learning rate function best is not supported"),
    ({"ns_steps": 100}, "Number of steps must be less than 100"),
    ({"ns_coefficients": (1.5, -0.5)}, "exactly 3 values"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options(options, message):
    """torch's exception and words; what torch finds in the step is found before anything is written."""
    for library in (torch.optim, optim):
        p = torch.nn.Parameter(torch.ones(2, 2))
        p.grad = torch.ones(2, 2)
        with pytest.raises(ValueError, match=message):
            library.Muon([p], **options).step()
    assert torch.equal(p, torch.ones(2, 2))


@pytest.mark.parametrize(
    ("param", "error", "message"),
    [
        (torch.ones(3), ValueError, r"only supports 2D parameters.*size: torch.Size\(\[3\]\)"),
        (torch.ones(2, 2, dtype=torch.complex64), RuntimeError, "does not support complex parameters"),
    ],
)
def test_wrong_parameters(param, error, message):
    for library in (torch.optim, optim):
        p = torch.nn.Parameter(param)
        p.grad = torch.ones_like(p)
        with pytest.raises(error, match=message):
            library.Muon([p]).step()
    optimizer = optim.Muon([torch.nn.Parameter(torch.ones(2, 2))])
    with pytest.raises(error, match=message):
        optimizer.add_param_group({"params": [torch.nn.Parameter(param)]})
    assert len(optimizer.param_groups) == 1


def test_a_matrix_without_columns():
    """torch divides by zero."""
    p = torch.nn.Parameter(torch.ones(3, 0))
    p.grad = torch.ones(3, 0)
    optim.Muon([p]).step()
    assert p.shape == (3, 0)


def test_sparse_gradients_are_refused():
    for library in (torch.optim, optim):
        table = torch.nn.Embedding(6, 3, sparse=True)
        table(torch.tensor([1, 4])).sum().backward()
        with pytest.raises(RuntimeError, match="Muon does not support sparse gradients"):
            library.Muon(table.parameters()).step()


def test_compiled_and_accelerated():
    start, grads = drawn(torch.float32, 1)
    params, _ = train(optim, {"lr": 0.1}, start, grads)
    again = [torch.nn.Parameter(p.clone()) for p in start]
    for p, grad in zip(again, grads[0], strict=True):
        p.grad = grad
    optimizer = torch.optim.Muon(again, lr=0.1)
    assert scratchnet.accelerate(torch.nn.Linear(2, 2), optimizer).optimizer == "scratchnet's Muon now"
    torch.compile(optimizer.step, backend="eager")()
    for a, b in zip(params, again, strict=True):
        assert torch.equal(a, b)
