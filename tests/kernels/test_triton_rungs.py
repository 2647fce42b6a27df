"""Triton's first rungs: the naive kernels of the primitives and those between them and the best, interpreted and compiled."""

import importlib
import re
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from cases import EXAMPLES, case, scalar

import scratchnet
import scratchnet.nn.functional as F
from scratchnet.columns import kernel, module
from scratchnet.measure import ladder
from scratchnet.measure.gpu_code import triton as triton_code
from scratchnet.measure.verify import EMPTY, LAYOUTS, compare
from scratchnet.ops import OPS, PRIMITIVES

pytest.importorskip("triton", reason="needs Triton: pip install triton")

OURS = [(name, example) for name, example in EXAMPLES if name in PRIMITIVES]
STEPS = [(name, example, f"triton:{n}") for name, example in OURS for n in range(1, len(OPS[name].rungs("triton")))]
# Attention's rungs between are made of kernels of its first rung and its last, which meet every size and type.
BETWEEN = [step for step in STEPS if step[0] == "attention" and step[2] != "triton:1"]
STEPS = [step for step in STEPS if step not in BETWEEN]
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
SIZES = ((1, 1), (3, 2), (5, 33), (2, 1100))  # the last: more than a block of a row
KERNELS = Path(importlib.import_module("scratchnet.kernels.launch").__file__).parent
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, example, rung", STEPS)
def test_against_the_oracle(name, example, rung, dtype):
    """A small and a large size in every type, every size in two types; the layouts take turns."""
    number = DTYPES.index(dtype)
    for i, (rows, columns) in enumerate(SIZES[number % 2 :: 2], number):
        layout = [*LAYOUTS.values()][i % len(LAYOUTS)]
        columns = min(columns, 130) if name in ("gather", "attention") else columns
        result = compare(OPS[name], example, rows, columns, dtype, rung, layout)
        assert result.ok, result


@pytest.mark.parametrize("number", range(len(BETWEEN)))
def test_attention_between_against_the_oracle(number):
    """Every rung and example once; sizes, types and layouts take turns."""
    name, example, rung = BETWEEN[number]
    turn = number + number // len(DTYPES)
    layout = [*LAYOUTS.values()][turn % len(LAYOUTS)]
    result = compare(OPS[name], example, *((3, 2), (5, 33))[turn % 2], DTYPES[turn % len(DTYPES)], rung, layout)
    assert result.ok, result


@pytest.mark.parametrize("name", PRIMITIVES)
def test_the_kernels_run(name, monkeypatch):
    """Both kernels come from the primitive's naive.py; the rest of the family has no such rung."""
    file = sys.modules[kernel(OPS[name], "triton", "forward", 1).__module__]
    assert file.__name__ == f"scratchnet.kernels.{name}.naive"
    assert kernel(OPS[name], "triton", "backward", 1).__module__ == file.__name__
    family = [op for op in OPS.values() if op.name != op.primitive == name and op.rungs("triton")]
    assert all(kernel(op, "triton", "forward", 1) == kernel(op, "triton", "forward") for op in family)
    started, real = [], file.launch
    monkeypatch.setattr(file, "launch", lambda *a, **k: (started.append(a[0]), real(*a, **k)))
    c = case(name, None, 4, 6, torch.float32)
    with scratchnet.backend("triton:1"):
        outputs = c.ours(*(leaves := c.leaves))
        forward = len(started)
        torch.autograd.grad(scalar(lambda *_: outputs)(), leaves)
    assert 0 < forward < len(started)


@pytest.mark.parametrize("name, example", OURS)
def test_empty(name, example):
    for rows, columns in EMPTY:
        c = case(name, example, rows, columns)
        try:
            expected = c.torch(*(theirs := c.leaves))
        except (RuntimeError, IndexError):  # ours refuses it before a kernel runs
            continue
        with scratchnet.backend("triton:1"):
            actual = c.ours(*(leaves := c.leaves))
            ours, own = (scalar(lambda *_, y=y: y)() for y in (actual, expected))
            gradients = torch.autograd.grad(ours, leaves), torch.autograd.grad(own, theirs)
        torch.testing.assert_close((actual, gradients[0]), (expected, gradients[1]), equal_nan=True)


SPECIAL = torch.tensor([[1.0, INF, 2.0], [-INF, 0.5, NAN], [-INF, -INF, -INF], [3e38, -3e38, 0.0], [1e4, 1e4 + 1, 1e4]])
CALLS = {
    "gelu": F.gelu,
    "tanh": lambda x: F.gelu(x, approximate="tanh"),
    "layer_norm": lambda x: F.layer_norm(x, (3,)),
    "cross_entropy": lambda x: F.cross_entropy(x, torch.tensor([0, 1, 2, 0, 1]), reduction="none"),
    "probabilities": lambda x: F.cross_entropy(x, torch.ones(5, 3) / 3, reduction="none"),
    "matmul": lambda x: scratchnet.matmul(x, torch.tensor([[1.0, 2.0], [-1.0, 1.0], [0.5, 3.0]])),
}


@pytest.mark.parametrize("name", CALLS)
def test_nan_and_infinity_are_the_best_rungs(name):
    results = []
    for backend in ("triton:1", "triton"):
        x = SPECIAL.to(torch.get_default_device()).requires_grad_()
        with scratchnet.backend(backend):
            y = CALLS[name](x)
            results.append((y, *torch.autograd.grad(y, x, torch.ones_like(y))))
    torch.testing.assert_close(*results, equal_nan=True)


@pytest.mark.parametrize("shape, dim, indices", [((3, 4, 5), 1, (2, 7, 3)), ((), 0, ()), ((), -1, (3,)), ((300,), 0, (9,))])
@pytest.mark.parametrize("rung", ["triton:1", "triton:2"])
def test_gather_of_any_rank(shape, dim, indices, rung):
    x, index = torch.randn(shape, requires_grad=True), torch.randint(shape[dim] if shape else 1, indices)
    with scratchnet.backend(rung):
        y = scratchnet.gather(x, dim, index)
    expected = torch.gather(x, dim, index)
    torch.testing.assert_close(y, expected, rtol=0, atol=0)
    grad = torch.randn(indices)
    torch.testing.assert_close(torch.autograd.grad(y, x, grad), torch.autograd.grad(expected, x, grad))


@pytest.mark.parametrize("rung", ["triton:1", "triton:2"])
def test_gather_follows_no_index_out_of_range(rung):
    with scratchnet.backend(rung), pytest.raises((RuntimeError, IndexError)):
        scratchnet.gather(torch.ones(3, 2), 0, torch.tensor([[0, 3]]))


@pytest.mark.full
@pytest.mark.parametrize("rung", (1, 2))
def test_they_compile_for_gpus(rung):
    """For a GPU of each vendor: only the best rungs, which are compiled for every GPU, must be free of spills."""
    vendors, names = {"sm_90", "gfx942"}, [name for name in PRIMITIVES if rung < len(OPS[name].rungs("triton"))]
    codes = triton_code.report(names, "float32", "odd", str(rung), vendors)
    compiled = {(code.op, code.target, code.call.rsplit(" ", 1)[1]) for code in codes}
    assert compiled == set(product(names, vendors, ("forward", "backward")))


def test_every_file_in_a_folder_is_a_rung():
    rungs = {module(op, "triton", rung) for op in OPS.values() for rung in range(1, len(op.rungs("triton")) + 1)}
    files = {f"scratchnet.kernels.{file.parent.name}.{file.stem}" for file in KERNELS.glob("*/[!_]*.py")}
    assert files == rungs


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_a_first_rung_stands_on_no_other_rung(primitive):
    """The ladder finds its source, which imports from the kernels' folder only what lies beside the rungs' folders."""
    first, *_, best = ladder.rungs(primitive, ("triton",))
    assert first.source.relative_to(KERNELS) == Path(primitive, "naive.py") and best.source.exists()
    imported = re.findall(r"from scratchnet\.kernels\.(\S+) import", first.source.read_text())
    assert imported and all((KERNELS / f"{name}.py").exists() for name in imported), imported
