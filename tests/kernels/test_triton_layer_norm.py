"""Triton's LayerNorm beyond the common tests: rows of several blocks, and the layout of tiles."""

import pytest
import torch

pytest.importorskip("triton", reason="needs Triton: pip install triton")

import scratchnet  # noqa: E402
from scratchnet.kernels import column_sums  # noqa: E402
from scratchnet.kernels.layer_norm import blocks as layer_norm  # noqa: E402
from scratchnet.measure.verify import compare  # noqa: E402
from scratchnet.ops import OPS  # noqa: E402
from scratchnet.ops.layer_norm import NormOptions  # noqa: E402

OURS = [op for op in OPS.values() if op.primitive == "layer_norm" and op.rungs("triton")]
NORMS = [(op.name, example) for op in OURS for example in op.examples]


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("columns", (300, 384))
@pytest.mark.parametrize("name, example", NORMS)
def test_rows_that_do_not_fit_in_registers(name, example, columns, dtype, monkeypatch):
    """Three blocks, the last one partial or full."""
    monkeypatch.setattr(layer_norm, "LONGEST", 256)
    monkeypatch.setitem(layer_norm.TILE, "BLOCK", 128)
    result = compare(OPS[name], example, 3, columns, dtype, "triton")
    assert result.ok, result


@pytest.mark.parametrize("op", OURS, ids=lambda op: op.name)
def test_the_shortest_row_that_does_not_fit(op):
    result = compare(op, next(iter(op.examples)), 3, layer_norm.LONGEST + 1, torch.float32, "triton")
    assert result.ok, result


@pytest.mark.parametrize("name, example", NORMS)
def test_many_rows(name, example, monkeypatch):
    """More rows than partial sums: a program takes several tiles."""
    monkeypatch.setattr(column_sums, "MAX_PARTIALS", 2)
    result = compare(OPS[name], example, 600, 3, torch.float32, "triton")
    assert result.ok, result


def test_a_large_mean_does_not_cancel():
    """The variance of long rows is merged from blocks: the mean square minus the squared mean would lose its digits."""
    for columns in (100, layer_norm.LONGEST + 1000):
        x = torch.randn(2, columns, dtype=torch.float64) + 1e4
        y, mean, rstd = layer_norm.layer_norm_forward(x.float(), None, None, NormOptions(1, 1e-5))
        wide = x.float().double()
        expected = torch.nn.functional.layer_norm(wide, (columns,))
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=4e-3)  # an ulp of 1e4 is 1e-3
        wanted = 1 / (wide.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
        torch.testing.assert_close(rstd.double(), wanted, rtol=2e-6, atol=0)


def test_the_same_bits_every_run():
    x, grad, weight = torch.randn(700, 48), torch.randn(700, 48), torch.randn(48)
    _, mean, rstd = layer_norm.layer_norm_forward(x, weight, None, NormOptions(1, 1e-5))
    first, second = (
        layer_norm.layer_norm_backward(grad, x, mean, rstd, weight, NormOptions(1, 1e-5), True, True, True) for _ in range(2)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("columns", (3, layer_norm.LONGEST + 1))
@pytest.mark.parametrize("backend", ("triton:1", "triton:2", "triton"))
def test_squares_that_pass_the_range_make_no_zeros(backend, columns):
    """1 / sqrt(inf) is 0, and a row of zeros would look like a result."""
    x = torch.zeros(1, columns)
    x[0, 0], x[0, 1] = 3e38, -3e38
    with scratchnet.backend(backend):
        assert scratchnet.layer_norm(x, (columns,)).isnan().all()
