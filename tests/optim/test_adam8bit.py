"""Moments in 8 bits: how far codes are off, that their mean is exact, and steps beside AdamW's and the formula's."""

import copy
import io
import math
import os
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

import scratchnet
from scratchnet import _compiled, optim
from scratchnet.optim.adam8bit import BLOCK, decoded, encoded

BACKENDS = ["reference", "cpp:1", "cpp:2"]
SHAPES = ((), (1,), (0,), (255,), (256,), (257,), (33, 40), (3, 1000))
OPTIONS = [
    ("Adam8bit", {}),
    ("Adam8bit", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
    ("AdamW8bit", {"lr": torch.tensor(0.01), "betas": (0.8, 0.9), "eps": 1e-4}),
]


def drawn(shape, dtype=torch.float32, seed=0, spread=3.0):
    """Numbers of many magnitudes."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * sizes.exp()).to(dtype)


def steps(name, options, dtype, backend, count=5, shapes=SHAPES):
    params = [torch.nn.Parameter(drawn(shape, dtype, 1, 0)) for shape in shapes]
    optimizer = getattr(optim, name)(params, **copy.deepcopy(options))
    with scratchnet.backend(backend):
        for step in range(count):
            for p in params:
                p.grad = drawn(p.shape, dtype, 10 + step, 1)
            optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("count", [1, 255, 256, 257, 5000])
def test_a_code_is_the_one_below_or_above(signed, count):
    """With every chance between: the relative error is below an eighth, and a number that is a code stays it."""
    numbers = drawn(count) if signed else drawn(count).square()
    largest = torch.nn.functional.pad(numbers.abs(), (0, -count % BLOCK)).view(-1, BLOCK).amax(1).repeat_interleave(BLOCK)
    least = largest[:count] * (1.25 * 2.0**-16 if signed else 1.125 * 2.0**-32)
    for chance in (0, 1, 40_000, 65_535):
        codes, scales = encoded(numbers, torch.full((count,), chance), signed)
        assert codes.dtype == torch.uint8 and codes.shape == (count,) and scales.shape == (-(-count // BLOCK),)
        back = decoded(codes, scales, signed)
        error, normal = (back - numbers).abs(), numbers.abs() >= least
        assert (error[normal] <= numbers.abs()[normal] * (0.1251 if chance else 0.1112)).all()
        assert (error[~normal] <= least[~normal]).all() and normal.sum() > count / 2
        assert (back >= 0).all() and (back > 0).all() if not signed else (back * numbers >= 0).all()
        assert_close(back.abs().amax(), numbers.abs().amax(), rtol=1e-6, atol=0)
        again = encoded(back, torch.full((count,), 2**15), signed)
        assert torch.equal(decoded(*again, signed), back)


@pytest.mark.parametrize("signed", [True, False])
def test_the_mean_over_all_chances_is_exact(signed):
    """Within one part in 65,536 of the distance between two codes."""
    numbers = torch.tensor([1.0, 0.93, 0.7, 0.51, 0.1234, 0.003])
    mean = torch.zeros(6, dtype=torch.float64)
    for chance in range(0, 2**16, 16):
        mean += decoded(*encoded(numbers, torch.full((6,), chance), signed), signed)
    assert_close(mean / 2**12, numbers.double(), rtol=2.0**-3 * 2.0**-11, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_kernels_take_the_formulas_steps(name, options, dtype):
    """The same state but for a code here and there, where rounding of float32 falls on the other side of a chance."""
    results = [steps(name, options, dtype, backend, count=1) for backend in BACKENDS]
    for params, optimizer in results[1:]:
        for p, q, start in zip(params, results[0][0], SHAPES, strict=True):
            eps = torch.finfo(dtype).eps
            assert_close(p, q, rtol=4 * eps, atol=4 * eps * 1e-2)
            state, wanted = optimizer.state[p], results[0][1].state[q]
            assert list(state) == list(wanted) == ["step", "exp_avg", "exp_avg_sq", "scales"] and state["step"] == 1
            assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.uint8 and state["exp_avg"].shape == start
            assert_close(state["scales"], wanted["scales"], rtol=1e-6, atol=0)
            for key in ("exp_avg", "exp_avg_sq"):
                differ = (state[key].int() - wanted[key].int()).abs()
                assert differ.numel() == 0 or differ.max() <= 1 and (differ > 0).float().mean() <= 0.01
    if dtype is torch.float64:
        assert all(torch.equal(p, q) for p, q in zip(results[0][0], results[2][0], strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_first_step_is_adams(dtype):
    """It does not read the moments that it rounds."""
    exact = [torch.nn.Parameter(drawn(shape, dtype, 1, 0)) for shape in SHAPES]
    twin = torch.optim.AdamW(exact, lr=0.1)
    for p in exact:
        p.grad = drawn(p.shape, dtype, 10, 1)
    twin.step()
    for backend in BACKENDS:
        params, _ = steps("AdamW8bit", {"lr": 0.1}, dtype, backend, count=1)
        for p, q in zip(params, exact, strict=True):
            assert_close(p, q, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_second_moment_follows_a_change(backend):
    """Gradients shrink tenfold, but one that holds the scale up. To nearest, no code would move; Adam's v falls to 0.3 %."""
    p = torch.nn.Parameter(torch.zeros(BLOCK))
    optimizer = optim.Adam8bit([p], lr=0.0, betas=(0.9, 0.99))
    with scratchnet.backend(backend):
        for step in range(600):
            p.grad = torch.full((BLOCK,), 1.0 if step < 20 else 0.1)
            p.grad[0] = 1.0
            optimizer.step()
    state = optimizer.state[p]
    v = decoded(state["exp_avg_sq"], state["scales"][1], signed=False)[1:]
    exact = (1 - 0.99**20) * 0.99**580 + 0.01 * (1 - 0.99**580)
    assert abs(v.mean().item() / exact - 1) < 0.1 and 0.4 * exact < v.min() and v.max() < 2.5 * exact


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_beside_adamw(backend):
    """A small network on a function: the loss ends within a third of AdamW's, both from 1 to below 0.05."""
    losses = []
    for library, name in ((torch.optim, "AdamW"), (optim, "AdamW8bit")):
        torch.manual_seed(0)
        x = torch.randn(256, 8)
        y = torch.sin(x @ torch.randn(8, 1)) + 0.5 * x[:, :1]
        model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
        optimizer = getattr(library, name)(model.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, 300)
        with scratchnet.backend(backend):
            for _ in range(300):
                optimizer.zero_grad()
                loss = (model(x) - y).square().mean()
                loss.backward()
                optimizer.step()
                schedule.step()
        losses.append(loss.item())
    assert losses[0] < 0.05 and abs(losses[1] / losses[0] - 1) < 1 / 3, losses


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_checkpoint_continues_with_the_same_bits(backend, dtype):
    params, optimizer = steps("AdamW8bit", {"lr": 0.01}, dtype, backend)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again = [torch.nn.Parameter(p.detach().clone()) for p in params]
    other = optim.AdamW8bit(again, lr=0.5)
    other.load_state_dict(torch.load(file))
    copied = copy.deepcopy(optimizer)
    twins = [params, again, copied.param_groups[0]["params"]]
    with scratchnet.backend(backend):
        for step in range(3):
            for several, taker in zip(twins, (optimizer, other, copied), strict=True):
                for p in several:
                    p.grad = drawn(p.shape, dtype, 50 + step, 1)
                taker.step()
    for p, q, r in zip(*twins, strict=True):
        assert torch.equal(p, q) and torch.equal(p, r)
        assert other.state[q]["exp_avg"].dtype == torch.uint8 and other.state[q]["scales"].dtype == torch.float32
        assert all(torch.equal(a, b) for a, b in zip(optimizer.state[p].values(), other.state[q].values(), strict=True))


def test_two_bytes_a_parameter():
    params, optimizer = steps("AdamW8bit", {}, torch.float32, "cpp", count=1, shapes=((512, 512),))
    sizes = {key: value.numel() * value.element_size() for key, value in optimizer.state[params[0]].items()}
    assert sizes == {"step": 4, "exp_avg": 2**18, "exp_avg_sq": 2**18, "scales": 2**18 * 8 // BLOCK}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_same_bits_on_any_number_of_threads(dtype):
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        params, optimizer = steps("AdamW8bit", {"lr": 0.01}, dtype, "cpp", count=3, shapes=((70_001,), (300, 301)))
        results.append([*params, *(optimizer.state[p]["exp_avg_sq"] for p in params)])
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], result, strict=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.to(memory_format=torch.channels_last),
        lambda t: t.transpose(0, 3),
        lambda t: torch.stack([t, t], -1)[..., 0],
    ],
    ids=["channels_last", "transposed", "with gaps"],
)
def test_strides(make):
    """The kernel takes what fills memory, the formula the rest; blocks follow the memory."""
    values, grads = drawn((4, 5, 6, 7), seed=1, spread=0), [drawn((4, 5, 6, 7), seed=2 + k, spread=1) for k in range(2)]
    results = []
    for backend in ("reference", "cpp"):
        p = torch.nn.Parameter(make(values))
        optimizer = optim.AdamW8bit([p], lr=0.1)
        with scratchnet.backend(backend):
            p.grad = make(grads[0])
            optimizer.step()
        results.append((p.detach(), optimizer.state[p]))
    assert_close(results[0][0], results[1][0], rtol=1e-6, atol=1e-6)
    for key in ("exp_avg", "exp_avg_sq"):
        assert (results[0][1][key].int() - results[1][1][key].int()).abs().max() <= 1
        assert results[0][1][key].stride() == results[1][1][key].stride()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_a_gradient_that_is_not_finite_makes_its_block_nan(backend, value):
    p = torch.nn.Parameter(torch.ones(3 * BLOCK))
    optimizer = optim.Adam8bit([p], lr=0.1)
    with scratchnet.backend(backend):
        for step in range(2):
            p.grad = torch.ones(3 * BLOCK)
            p.grad[BLOCK + 7] = value if step == 0 else 1.0
            optimizer.step()
    nan = p.isnan().view(3, BLOCK)
    assert nan[1].all() and not nan[0].any() and not nan[2].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_zero_and_tiny_gradients(backend):
    """Nothing moves without a gradient, and one whose square is not normal gives no NaN."""
    for value in (0.0, 1e-30, 1e-15):
        p = torch.nn.Parameter(torch.ones(300))
        optimizer = optim.Adam8bit([p], lr=0.1)
        with scratchnet.backend(backend):
            for _ in range(3):
                p.grad = torch.full((300,), value)
                optimizer.step()
        assert p.isfinite().all() and (p - 1).abs().max() <= 3 * 0.1 * min(1, 1.2 * value / 1e-8) + 1e-7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "Invalid learning rate: -0.1"),
        ({"eps": -1}, "Invalid epsilon value: -1"),
        ({"betas": (0.9, 1.0)}, "Invalid beta parameter at index 1: 1.0"),
        ({"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ],
)
def test_wrong_options(options, message):
    for name in ("Adam8bit", "AdamW8bit"):
        with pytest.raises(ValueError, match=rf"{name}\(\): .*{message}"):
            getattr(optim, name)([torch.nn.Parameter(torch.ones(2))], **options)


def test_wrong_parameters_and_gradients():
    optimizer = optim.Adam8bit([torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(RuntimeError, match="must be floating-point, but one is torch.complex64"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))]})
    assert len(optimizer.param_groups) == 1
    table = torch.nn.Embedding(6, 3, sparse=True)
    table(torch.tensor([1, 4])).sum().backward()
    with pytest.raises(RuntimeError, match="Adam8bit does not support sparse gradients"):
        optim.Adam8bit(table.parameters()).step()


def test_wrong_scales_of_the_operator():
    ones, codes = torch.ones(300), torch.zeros(300, dtype=torch.uint8)
    call = torch.ops.scratchnet.adam8bit_step
    for scales in (torch.zeros(2, 1), torch.zeros(2, 2, dtype=torch.float64)):
        with pytest.raises(RuntimeError, match="scales must be two float32 numbers for each block"):
            call([ones], [ones], [torch.tensor(0.0)], [codes], [codes], [scales], 0.1, 0.9, 0.9, 0.0, 0.0, False, False, 1.0, 2)


@pytest.mark.full
def test_avx2():
    """In a process of its own, for this one runs the best instruction set."""
    if "avx2" not in _compiled.module.cpu_info()["isas_supported"]:
        pytest.skip("this CPU has no avx2")
    chosen = "kernels_take or any_number_of_threads or strides or not_finite or tiny"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error::RuntimeWarning", __file__, "-k", chosen]
    run = subprocess.run(command, env={**os.environ, "SCRATCHNET_CPU_ISA": "avx2"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_state_of_another_parameter_is_refused():
    _, optimizer = steps("Adam8bit", {}, torch.float32, "cpp", 1, ((3, 100),))
    other = optim.Adam8bit([torch.nn.Parameter(torch.ones(4, 100))])
    with pytest.raises(RuntimeError, match=r"^Adam8bit.load_state_dict\(\): .* has \(4, 100\) .* of \(3, 100\)"):
        other.load_state_dict(optimizer.state_dict())
