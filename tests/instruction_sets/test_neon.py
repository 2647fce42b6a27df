"""The kernels as 64-bit ARM runs them, by an emulated CPU: every operator against the oracle, by the rule of the grid.

Nothing here says how fast they are.
"""

import subprocess

import pytest
import torch
from cases import EXAMPLES, MIDDLE
from instruction_sets.emulated import Emulated, command, missing

from scratchnet.functions.dispatch import OPERATORS
from scratchnet.measure.verify import LAYOUTS, SIZES, compare, function
from scratchnet.ops import FILES, OPS

pytestmark = [pytest.mark.full, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@pytest.fixture(scope="module")
def program():
    program = Emulated()
    yield program
    program.close()


@pytest.fixture
def check(program, monkeypatch):
    """check(name, example, ...): `compare` with an operator's C++ kernels in the emulated program."""

    def redirect(patch, op, cell) -> None:
        for direction in ("forward", "backward"):
            patch.setattr(cell, f"_{direction}", program.kernel(op, direction))
        if cell.gradients:
            gradients = program.kernel(op, "gradients")
            patch.setattr(cell, "gradients", lambda *args: gradients(*op.flat("gradients", args), cell.rung))

    def run(name: str, example: str, rows: int, columns: int, dtype: torch.dtype, backend: str, layout: str) -> None:
        function(OPS[name])  # its cells exist once its file is imported
        with monkeypatch.context() as patch:
            for other in [op for op in OPS.values() if FILES[op.name] == FILES[name]]:  # scatter_add of rows is index_add
                redirect(patch, other, OPERATORS[other.name].cells[backend])
            calls = program.calls
            result = compare(OPS[name], example, rows, columns, dtype, backend, LAYOUTS[layout])
            assert program.calls > calls
        assert result.ok, result

    return run


def test_the_instruction_set_in_use():
    """There is one; asking for another one changes nothing."""
    for asked in ("", "neon", "avx2"):
        run = subprocess.run([*command(), "isa"], capture_output=True, text=True, env={"SCRATCHNET_CPU_ISA": asked})
        assert run.stdout == "neon\n", run


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, example", EXAMPLES)
def test_last_rungs(check, name, example, dtype):
    for size, layout in zip(SIZES[::3], ("sliced", "contiguous", "transposed", "sliced"), strict=True):
        check(name, example, *size, dtype, "cpp", layout)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, example, rung", [*((*e, "cpp:1") for e in EXAMPLES), *MIDDLE])
def test_rungs_below(check, name, example, rung, dtype):
    check(name, example, 17, 31, dtype, rung, "transposed")


@pytest.mark.parametrize("layout", ("contiguous", "transposed", "sliced"))
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name, example", [("matmul", "2-D"), ("linear", "bias+gelu")])
def test_products_of_several_blocks(check, name, example, dtype, layout):
    """More rows than a block of a has, more terms than a block of them, columns that end within a register."""
    check(name, example, 301, 277, dtype, "cpp", layout)
