"""What a rung is said to move is what its loops load and store, counted where they take one number at a time."""

import platform
import subprocess

import pytest
import torch
from instruction_sets.toolchain import ROOT, compiler, missing, setup

from scratchnet.measure import bench, ladder
from scratchnet.ops import OPS

MACHINE = platform.machine()
SCALAR = [("gelu", 1), ("layer_norm", 1), ("layer_norm", 2), ("cross_entropy", 1), ("cross_entropy", 2)]
SCALAR += [("matmul", 1), ("matmul", 2), ("matmul", 3)]


@pytest.mark.skipif(missing(MACHINE) is not None, reason=str(missing(MACHINE)))
@pytest.mark.parametrize(("primitive", "number"), SCALAR)
def test_bytes_that_are_loaded_and_stored(primitive, number, tmp_path):
    rung = ladder.rungs(primitive, ("cpp",))[number - 1]
    defines = [
        f"-D{primitive.upper()}",
        f'-DSOURCE="{rung.source}"',
        f"-DRUNG={primitive}_{number}_baseline",
        "-DSN_ISA=baseline",
    ]
    command = [*compiler(MACHINE), *setup(MACHINE)["COMMON_FLAGS"], f"-I{rung.source.parent}", "-w", *defines]
    subprocess.run([*command, str(ROOT / "tests/kernels/count_passes.cpp"), "-o", tmp_path / "count"], check=True)
    printed = subprocess.run([tmp_path / "count"], capture_output=True, text=True, check=True).stdout
    forward, backward = map(int, printed.split())

    op = OPS[primitive]
    call = bench.Call.drawn(op, next(iter(op.examples)), 40, 24, torch.float32, "cpu")
    said = op.moved("cpp", number)(*call.args, **call.kwargs)
    assert forward == said.forward_bytes
    if primitive != "matmul":  # its backward is two products more
        assert backward == said.backward_bytes
