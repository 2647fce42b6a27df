"""The Triton kernels without a GPU: interpreted and judged by the oracle, compiled for GPUs, and their machine code checked.

Here is what is special to Triton; what is special to an operator is tested in tests/primitives and tests/grid.
"""

import os
import subprocess
import sys
from importlib import import_module
from itertools import product
from typing import Iterator

import pytest
import torch
from cases import EXAMPLES, case, scalar

import scratchnet
from scratchnet import backends
from scratchnet.columns import kernel
from scratchnet.measure.gpu_code import triton as triton_code
from scratchnet.measure.verify import compare
from scratchnet.ops import OPS, PRIMITIVES
from scratchnet.ops.gated import GegluOptions

pytest.importorskip("triton", reason="needs Triton: pip install triton")

OURS = [(name, example) for name, example in EXAMPLES if OPS[name].rungs("triton")]
SIZES = ((1, 1), (3, 2), (17, 31), (33, 127), (129, 2), (2, 1000))
# The interpreter takes minutes for 4,003 classes, and for heads of 1,000 numbers, which are one tile.
WIDEST = {"linear_cross_entropy": 127, "attention": 130}
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
LAYOUTS = (  # transposed, sliced
    lambda t: t.mT.contiguous().mT if t.dim() > 1 else t,
    lambda t: t.repeat_interleave(2, -1)[..., ::2] if t.dim() else t,
)
OPERATORS = {p: [name for name in dict(OURS) if OPS[name].primitive == p] for p in PRIMITIVES}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, example", OURS)
def test_against_the_oracle(name, example, dtype):
    """Every size in two of the types, in a layout each; the next example takes the other two."""
    number = DTYPES.index(dtype)
    sizes = SIZES[(number + OURS.index((name, example))) % 2 :: 2]
    for i, (rows, columns) in enumerate(sizes, number // 2):
        columns = min(columns, WIDEST.get(name, columns))
        result = compare(OPS[name], example, rows, columns, dtype, "triton", LAYOUTS[i % len(LAYOUTS)])
        assert result.ok, result


@pytest.mark.parametrize("direction", ("forward", "backward"))
def test_no_grid_is_too_long_for_a_gpu(direction, monkeypatch):
    """CUDA takes 65,535 programs along the second axis, the interpreter any number. GEGLU's rows are long along dim 0."""
    grids = []
    function = kernel(OPS["geglu"], "triton", direction)
    monkeypatch.setattr(sys.modules[function.__module__], "launch", lambda kernel, grid, *args, **options: grids.append(grid))
    x = torch.empty(8192, 4096, device="meta")
    function(*([x[:4096]] if direction == "backward" else []), x, GegluOptions(0, False))
    assert grids and all(programs <= 65_535 for grid in grids for programs in grid[1:])


@pytest.mark.parametrize("name, example", OURS)
def test_the_kernels_run(name, example, monkeypatch):
    """The reference does not run in their place: forward and backward both launch kernels."""
    from scratchnet.kernels import launch

    started = []
    real = launch.launch
    kernel(OPS[name], "triton", "forward")  # is imported, with what it imports
    files = [file for path, file in sys.modules.items() if path.startswith("scratchnet.kernels.") and file is not launch]
    for file in [file for file in files if getattr(file, "launch", None) is real]:
        monkeypatch.setattr(file, "launch", lambda *a, **k: (started.append(a[0]), real(*a, **k)))
    c = case(name, example, 4, 6, torch.float32)
    with scratchnet.backend("triton"):
        outputs = c.ours(*(leaves := c.leaves))
        forward = len(started)
        torch.autograd.grad(scalar(lambda *_: outputs)(), leaves)
    assert 0 < forward < len(started)


@pytest.mark.parametrize("name, example", [(name, next(iter(OPS[name].examples))) for name in dict(OURS)])
def test_gradcheck(name, example):
    c = case(name, example, *(2, 2) if name == "attention" else ())  # it has the most numbers and the slowest kernels
    with scratchnet.backend("triton"):
        assert torch.autograd.gradcheck(c.ours, c.leaves)


@pytest.mark.parametrize("name", dict(OURS))
def test_compile(name):
    """The kernels are in one graph, without a graph break."""
    torch._dynamo.reset()  # all operators compile the same line of this file, which Dynamo counts as recompiling
    c = case(name, rows=6, columns=8, dtype=torch.float32)
    with scratchnet.backend("triton"):
        expected = c.ours(*(leaves := c.leaves))
        wanted = torch.autograd.grad(scalar(lambda *_: expected)(), leaves)
        actual = torch.compile(c.ours, fullgraph=True, backend="aot_eager")(*leaves)
        got = torch.autograd.grad(scalar(lambda *_: actual)(), leaves)
    torch.testing.assert_close((actual, got), (expected, wanted), rtol=0, atol=0)


@pytest.mark.parametrize("interpreted", (True, False))
def test_cpu_tensors_need_the_interpreter(interpreted, monkeypatch):
    monkeypatch.setattr(import_module("scratchnet.kernels.launch"), "INTERPRETED", interpreted)
    assert ("triton:2" in backends.runnable(OPS["gelu"])) == interpreted


def test_triton_imported_by_somebody_else_first():
    code = (
        "import triton, triton.language, torch, scratchnet, scratchnet.nn.functional as F\n"
        "x = torch.arange(-3., 3.)\n"
        "with scratchnet.backend('triton'): y = F.gelu(x, approximate='tanh')\n"
        "torch.testing.assert_close(y, torch.nn.functional.gelu(x, approximate='tanh'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# They write one short row or number for many that they read, or add atomically, one number at a time.
NARROW_STORES = {f"{name}_kernel" for name in ("column_sums", "parameter_sums", "add_rows", "logsumexp", "sums", "dots")}
PRODUCT_KERNELS = {"product_kernel", "parts_kernel", "logits_gradient_kernel"}
PRODUCTS = [*OPERATORS["matmul"], "linear_cross_entropy"]


EVERY, PAIR = tuple(triton_code.TARGETS), ("sm_90", "gfx942")  # PAIR: a GPU of each vendor
REST = tuple(target for target in EVERY if target not in PAIR)


def _gpu_code_cases() -> Iterator:
    """Odd sizes and float32 choose other tiles for products; elsewhere they are slow. What is bound by memory, and float32 at
    odd sizes, is compiled for a GPU of each vendor, the rest of them being slow. float16 compiles as bfloat16 does."""

    def compiled(label: str, names: list[str], dtype: str, sizes: str, everywhere: bool, slow: bool = False) -> Iterator:
        for targets in (EVERY,) if everywhere or slow else (PAIR, REST):
            marks = pytest.mark.slow if slow or targets == REST else ()
            yield pytest.param(names, dtype, sizes, targets, id="-".join((label, dtype, sizes, *targets)), marks=marks)

    for dtype in ("float32", "bfloat16"):
        yield from compiled("products", PRODUCTS, dtype, "odd", everywhere=dtype == "bfloat16")
        for primitive, names in OPERATORS.items():
            slow = dtype == "float32" and primitive != "matmul"
            yield from compiled(primitive, names, dtype, "aligned", primitive in ("attention", "matmul"), slow)
            if others := [name for name in names if name not in PRODUCTS]:
                yield from compiled(primitive, others, dtype, "odd", everywhere=True, slow=True)
    for sizes in ("aligned", "odd"):
        yield from compiled("products", PRODUCTS, "float64", sizes, everywhere=True, slow=True)


@pytest.mark.parametrize(
    "names",
    [
        ("gelu",),
        pytest.param(("cross_entropy", "gather", "layer_norm", "rope"), marks=pytest.mark.full),
        pytest.param(("attention", "matmul"), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def test_other_gpus(names):
    """Turing, small Blackwells, MI350 and RDNA 3: no spills there either, and what is bound by memory has wide accesses."""
    codes = triton_code.report(names, targets=triton_code.OTHERS)
    assert {(code.op, code.target) for code in codes} == set(product(names, triton_code.OTHERS))
    for code in codes:
        assert code.spills == 0, code
        if code.op not in ("attention", "matmul"):
            assert code.load_bits >= 64 and (code.store_bits >= 64 or code.kernel in NARROW_STORES), code


@pytest.mark.full
@pytest.mark.parametrize("names, dtype, sizes, targets", list(_gpu_code_cases()))
def test_gpu_code(names, dtype, sizes, targets):
    """No register spills; memory-bound kernels load and store up to 128 bits at a time; products use the matrix units."""
    codes = triton_code.report(names, dtype, sizes, targets=targets)
    assert {code.target for code in codes} == set(targets) and {code.op for code in codes} == set(names)
    for code in codes:
        assert code.spills == 0, code
        if sizes == "aligned" and (code.op, code.kernel) != ("linear_cross_entropy", "product_kernel"):  # its classes are odd
            assert code.load_bits >= 64 and (code.store_bits >= 64 or code.kernel in NARROW_STORES), code
        if code.kernel in PRODUCT_KERNELS and (dtype != "float32" or code.target == "gfx942"):  # no float32 in NVIDIA's
            assert code.tensor_cores > 0, code
