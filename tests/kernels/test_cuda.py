"""The CUDA kernels without a GPU: run in tests/cuda_emulation against the oracle."""

import sys

import pytest
from cuda_emulation import build

from scratchnet.registry import BACKENDS

PRIMITIVES = list(BACKENDS["cuda"].rungs)


@pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_emulated_against_the_oracle(primitive):
    """Every rung, option, dtype, odd size and layout, NaN and infinity included, under AddressSanitizer and UBSan."""
    run = build.run(sys.executable, build.HERE / "judge.py", build.build(build.LIBRARY), primitive, 1)
    assert run.returncode == 0, run.stdout + run.stderr
