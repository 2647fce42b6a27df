"""Every operator at the sizes of models that people train, and at random sizes: forward and every gradient, by value.

Judged in one of two ways. Where an operator only multiplies, adds or copies, its numbers are small integers: every sum is exact
in float32, and the result is known to the last bit, rounded once to 16 bits. Elsewhere the rule of `scratchnet verify` judges,
with torch's own function in float64 as the oracle: NumPy's takes minutes at these sizes.

Which dtype, number of threads and layout of each operand meet which size changes with the seed, which pytest prints at the
end; SCRATCHNET_REAL_SIZES_SEED repeats a run. The sweep (slow) covers all of them.
"""

import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from cases import EXAMPLES
from shapes import SHAPES
from test_weight_gradients import THREADS

import scratchnet
from scratchnet import _compiled
from scratchnet.measure.verify import (
    ULPS,
    Call,
    Judgement,
    Rule,
    as_tuple,
    differentiable,
    function,
    on_tensors,
    sliced,
    transposed,
)
from scratchnet.ops import OPS, PRIMITIVES
from scratchnet.ops.op import normal

SEED = int(os.environ["SCRATCHNET_REAL_SIZES_SEED"])
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
EXACT = ("matmul", "linear", "conv2d", "gather", "embedding", "max_pool2d")
MODELS = [(name, model) for name, models in SHAPES.items() for model in models]
BY_MODEL = pytest.mark.parametrize("name, model", MODELS, ids=[f"{name}-{model}" for name, model in MODELS])
BY_EXAMPLE = pytest.mark.parametrize("name, example", EXAMPLES)


# In float64 the oracle is no better than what it judges: MKL adds up 28,996 terms of a gradient in one chain and is off by 55
# ulp of the largest where ours is off by 5 (judged in 80 bits).
FLOAT64_ULPS = 1024


def integers(*shape):
    """-2 to 2: sums of 12,288 products of two of them still fit into float16."""
    return torch.randint(-2, 3, shape, dtype=torch.int8).double().requires_grad_()


def any_layout(rng):
    """Each tensor, at random, as it is, transposed, or strided."""
    return lambda t: rng.choice((lambda t: t, transposed, sliced))(t)


def gradients(call, args, kwargs, upstream):
    outputs = as_tuple(call(*args, **kwargs))
    return (*(y.detach() for y in outputs), *torch.autograd.grad(outputs, differentiable(args, kwargs), upstream))


def check_exact(op, args, kwargs, dtypes, threads, rng):
    """A call with integers, in each dtype with its own number of threads."""
    outputs = as_tuple(op.torch(*args, **kwargs))
    upstream = [integers(*y.shape).detach() for y in outputs]
    exact = [y.detach() for y in outputs]
    exact += torch.autograd.grad(outputs, differentiable(args, kwargs), upstream)
    del outputs
    for dtype, count in zip(dtypes, threads, strict=True):
        torch.set_num_threads(count)
        layout = any_layout(rng)
        convert = lambda t, dtype=dtype: t.detach().to(dtype) if t.is_floating_point() else t
        place = lambda t, layout=layout, convert=convert: layout(convert(t)).requires_grad_(t.requires_grad)
        with scratchnet.backend("cpp"):
            ours = gradients(function(op), *on_tensors(place, args, kwargs), [layout(convert(g)) for g in upstream])
        for which, (y, wanted) in enumerate(zip(ours, exact, strict=True)):
            assert y.dtype == dtype and y.shape == wanted.shape
            wrong = (y != wanted.to(dtype)).nonzero()
            assert not len(wrong), (
                f"seed {SEED}: {dtype}, {count} threads, result {which}: {len(wrong)} of {y.numel()} wrong, "
                f"from {wrong[0].tolist()} to {wrong[-1].tolist()}"
            )


def check_by_rule(op, make, dtype, threads, rng):
    torch.set_num_threads(threads)
    named = replace(op, examples={"real": lambda rows, columns, dtype: make(dtype)})
    call = Call.make(named, "real", 0, 0, dtype, any_layout(rng), rng.randrange(2**31), oracle="torch")
    with scratchnet.backend("cpp"):
        ours = call.run(function(op))
    checks = call.judge(ours, Rule(ulps=FLOAT64_ULPS if dtype == torch.float64 else ULPS))
    result = Judgement(op.name, str(dtype), checks)
    assert result.ok, f"seed {SEED}: {threads} threads, {result}"


def check_model(name, model, dtypes, threads):
    rng = random.Random(f"{SEED} {name} {model} {threads}")
    torch.manual_seed(rng.randrange(2**31))
    op, make = OPS[name], SHAPES[name][model]
    if name in EXACT:
        return check_exact(op, *make(integers), dtypes, threads, rng)
    for dtype, count in zip(dtypes, threads, strict=True):
        check_by_rule(op, lambda dtype: make(partial(normal, dtype=dtype)), dtype, count, rng)


def in_turn(values, start, count):
    return [values[(start + i) % len(values)] for i in range(count)]


def log_uniform(rng, most):
    return int(math.exp(rng.uniform(0, math.log(most + 1))))


def check_example(name, example, rng, mebibytes):
    """One of the operator's examples with random rows and columns, which in float32 moves at most this much memory."""
    op, most = OPS[name], mebibytes * 2**18
    # these have a tensor of rows x rows or columns x columns
    product = op.primitive == "matmul" or name in ("linear_cross_entropy", "attention")
    while True:
        rows, columns = log_uniform(rng, most), log_uniform(rng, most)
        if rows * columns > most or product and max(rows, columns) ** 2 > most // 8:
            continue
        args, kwargs = op.examples[example](rows, columns, torch.float32)
        if op.cost(*args, **kwargs).forward_bytes <= mebibytes * 2**20:
            break
    del args, kwargs
    dtype, threads = rng.choice(DTYPES), rng.choice(THREADS)
    torch.manual_seed(rng.randrange(2**31))
    make = lambda dtype: op.examples[example](rows, columns, dtype)
    if example == "bias+relu":  # a number that rounding moves past ReLU's kink changes the gradient completely
        whole = lambda t: integers(*t.shape) if t.is_floating_point() else t
        return check_exact(op, *on_tensors(whole, *make(torch.float32)), [dtype], [threads], rng)
    check_by_rule(op, make, dtype, threads, rng)


def test_every_operator_has_a_real_shape_for_each_dtype():
    assert all(len(models) >= len(DTYPES) for models in SHAPES.values())


@BY_MODEL
def test_models(name, model):
    """What is exact in every dtype, the rest in one, which changes with the operator's next model."""
    at = SEED + MODELS.index((name, model))
    count = len(DTYPES) if name in EXACT else 1
    check_model(name, model, in_turn(DTYPES, at, count), in_turn(THREADS, at // len(DTYPES), count))


@pytest.mark.parametrize("number", range(3))
@BY_EXAMPLE
def test_random_sizes(name, example, number):
    check_example(name, example, random.Random(f"{SEED} {name} {example} {number}"), 16)


@pytest.mark.full
@pytest.mark.parametrize("isa", ("baseline", "avx2"))
def test_other_instruction_sets(isa):
    """Each in its own process: a third of the random sizes, and one model of each operator, which changes with the seed."""
    if isa not in _compiled.module.cpu_info()["isas_supported"]:
        pytest.skip(f"this CPU has no {isa}")
    tests = [f"test_models[{name}-{list(models)[SEED % len(models)]}]" for name, models in SHAPES.items()]
    number = ("baseline", "avx2").index(isa)
    run_tests(isa, [*tests, *(f"test_random_sizes[{name}-{example}-{number}]" for name, example in EXAMPLES)])


def run_tests(isa, tests):
    environment = {**os.environ, "SCRATCHNET_CPU_ISA": isa}
    ids = [f"{__file__}::{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-W", "error::RuntimeWarning", *ids]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, model", [(name, model) for name, model in MODELS if name not in EXACT])
def test_models_on_every_dtype(name, model, dtype):
    at = SEED + MODELS.index((name, model)) + DTYPES.index(dtype)
    check_model(name, model, [dtype], [THREADS[at % len(THREADS)]])


@pytest.mark.slow
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", OPS)
def test_every_number_of_threads(name, threads):
    models = list(SHAPES[name])
    check_model(name, models[(SEED + threads) % len(models)], [torch.float32], [threads])


@pytest.mark.slow
@BY_EXAMPLE
def test_random_sizes_up_to_memory(name, example):
    check_example(name, example, random.Random(f"{SEED} {name} {example}"), 96)


@pytest.mark.slow
@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize("isa", ("baseline", "avx2"))
def test_every_model_on_other_instruction_sets(isa, primitive):
    run_tests(isa, [f"test_models[{name}-{model}]" for name, model in MODELS if OPS[name].primitive == primitive])
