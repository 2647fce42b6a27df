"""What is special to the Triton products: strides without copies, split K, precision, what is recompiled."""

import json
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

import scratchnet
from scratchnet.functions.matmul import linear, matmul

pytest.importorskip("triton", reason="needs Triton: pip install triton")

from scratchnet.kernels import tile  # noqa: E402
from scratchnet.kernels.matmul import split  # noqa: E402


@pytest.fixture
def launches(monkeypatch):
    """(kernel, grid, arguments) of every launch."""
    found = []
    real = split.launch

    def launch(kernel, grid, *args, **options):
        found.append((kernel, grid, args))
        real(kernel, grid, *args, **options)

    monkeypatch.setattr(split, "launch", launch)
    return found


def storage(t):
    return t.untyped_storage().data_ptr()


def layouts() -> dict:
    """Name -> operands and the number of launches."""
    a, b = torch.randn(4, 3, 5, 6), torch.randn(4, 3, 6, 7)
    return {
        "contiguous": (a, b, 1),
        "transposed": (a.mT.contiguous().mT, b.mT.contiguous().mT, 1),
        "heads of attention": (torch.randn(2, 5, 3, 6).transpose(1, 2), torch.randn(2, 7, 3, 6).permute(0, 2, 3, 1), 1),
        "one matrix for all": (a, b[:1, :1].expand(4, 3, 6, 7), 1),
        "shared by a group of heads": (a.view(2, 2, 3, 5, 6), b[:, :1].view(2, 2, 1, 6, 7).expand(2, 2, 3, 6, 7), 1),
        "repeated elsewhere": (a[:, :1].expand(4, 3, 5, 6), b[:1].expand(4, 3, 6, 7), 1),
        "three strides": (torch.randn(2, 5, 3, 6, 2)[::2, ::2].permute(4, 2, 0, 1, 3), torch.randn(2, 3, 1, 6, 7), 1),
        "every axis its own way": (torch.randn(4, 4, 4, 5, 6)[::2, ::2, ::2], torch.randn(4, 4, 4, 6, 7)[::2, ::2, ::2], 2),
        "row and column repeated": (torch.randn(1, 6).expand(5, 6), torch.randn(6, 1).expand(6, 7), 1),
    }


@pytest.mark.parametrize("layout", layouts())
def test_strides_are_read_in_place(layout, launches):
    x, y, expected_launches = layouts()[layout]
    with scratchnet.backend("triton"):
        torch.testing.assert_close(matmul(x, y), torch.matmul(x, y))
    assert len(launches) == expected_launches
    assert all(storage(args[0]) == storage(x) and storage(args[1]) == storage(y) for _, _, args in launches)


@pytest.mark.parametrize("bytes_each", (2, 4, 8))
def test_a_part_of_a_split_sum_is_whole_steps(bytes_each):
    """A step is masked at the end of the whole sum, not of its part: terms beyond the part would be added twice."""
    for config in split.LARGE + split.SMALL:
        assert split.LONGEST_BLOCK_K % (config.kwargs["K_BYTES"] // bytes_each) == 0


@pytest.mark.parametrize("m, k, n, divided", [(2, 1100, 3, True), (2, 1000, 3, False), (600, 1100, 600, False)])
def test_k_is_split_where_tiles_are_few(m, k, n, divided):
    parts, length = split._split(-(-m // 64) * -(-n // 64), k)
    assert (parts > 1) == divided and (parts - 1) * length < k <= parts * length


@pytest.mark.parametrize("activation", (None, "relu", "gelu"))
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16), ids=str)
def test_split_products(dtype, activation, launches):
    """The second kernel adds bias and activation, with the same bits every run."""
    x, weight, bias = torch.randn(3, 1100).to(dtype), (torch.randn(5, 1100) / 33).to(dtype), torch.randn(5).to(dtype)
    x[2, 1099] = float("nan")
    with scratchnet.backend("triton"):
        y = linear(x, weight, bias, activation)
        assert torch.equal(linear(x, weight, bias, activation)[:2], y[:2])
    assert [kernel for kernel, *_ in launches] == [split.product_kernel, split.sum_splits_kernel] * 2
    z = F.linear(x.double(), weight.double(), bias.double())
    expected = {None: lambda z: z, "relu": F.relu, "gelu": F.gelu}[activation](z).to(dtype)
    torch.testing.assert_close(y, expected, equal_nan=True)


def test_tf32_only_on_request(monkeypatch):
    precision = lambda dtype: tile.precision(torch.empty(0, dtype=dtype))
    flags = torch.backends.cuda.matmul
    before = flags.fp32_precision
    try:
        assert precision(torch.float32) == "ieee"
        flags.fp32_precision = "tf32"
        assert precision(torch.float32) == "tf32" and precision(torch.float64) == "ieee"
    finally:
        flags.fp32_precision = before


# Matrix instructions take 16-bit types and TF32. NVIDIA's have no IEEE float32, which FMA instructions multiply.
COMPILE = """
import json, sys, torch
from scratchnet.measure.gpu_code import triton as triton_code
from scratchnet.kernels.launch import compiling
from scratchnet.kernels.matmul.linear import linear_backward, linear_forward
from scratchnet.kernels.matmul.split import matmul_forward
from scratchnet.ops.matmul import LinearOptions

def compiled(target, call, *args):
    launches = []
    with compiling(lambda *launch: launches.append(launch)):
        call(*args)
    for kernel, *launch in launches:
        first = [next(triton_code._variants(kernel, *launch, target))]
        yield from first

rows = {}
for m in (64, 65, 100, 8192):
    x, weight, bias = torch.empty(m, 64), torch.empty(32, 64), torch.empty(32)
    y = torch.empty(m, 32)
    for name, call in {
        "forward": (linear_forward, x, weight, bias, LinearOptions(2)),
        "backward": (linear_backward, y, x, weight, y, LinearOptions(2), True, True, True),
    }.items():
        for i, (_, kernel, code) in enumerate(compiled("sm_80", *call)):
            rows.setdefault(f"{name} {i} {kernel}", []).append(code.hash)
torch.backends.cuda.matmul.fp32_precision = "tf32"
tf32 = {}
for target in triton_code.TARGETS:
    (_, _, code), = compiled(target, matmul_forward, torch.empty(64, 64), torch.empty(64, 64))
    tf32[target] = triton_code._read(code, target)
print(json.dumps([rows, tf32]))
"""


@pytest.fixture(scope="module")
def compiled():
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    run = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_another_batch_size_compiles_nothing(compiled):
    kernels, _ = compiled
    assert len(kernels) >= 5
    for name, hashes in kernels.items():
        assert len(set(hashes)) == 1, (name, hashes)


def test_tf32_uses_the_matrix_units(compiled):
    _, tf32 = compiled
    for target, code in tf32.items():
        assert code["tensor_cores"] > 0 and code["spills"] == 0, (target, code)
