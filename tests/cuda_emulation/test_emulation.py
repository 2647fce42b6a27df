"""The emulation catches what it is meant to catch: each planted mistake shows, and the same kernel without it is right."""

import pytest
from cuda_emulation import build

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))

# kernel -> what its mistake leads to, with every seed
CAUGHT = {
    "double": "heap-buffer-overflow",
    "reverse": "global-buffer-overflow",
    "reverse_dynamic": "heap-buffer-overflow",
    "read_early": "wrong",
    "write_early": "wrong",
    "warp_sum": "wrong",
    "divergent": r"deadlock in block (0, 0, 0):",
    "two_barriers": "64 threads wait at __syncthreads in",
    "shuffle": "64 threads wait at __shfl_xor_sync for the lanes ffffffff",
    "copy": "wrong",
    "product": "wrong",
    "vector": "misaligned address",
    "assert": "device-side assertion `i < N` failed",
    "threads": "planted(): the CUDA kernel cannot run: invalid configuration argument",
}
SEEDS = range(3)


@pytest.fixture(scope="module")
def planted():
    program = build.build(build.PLANTED)

    def outcome(kernel: str, mistake: bool, seed: int) -> str:
        run = build.run(program, kernel, int(mistake), seed)
        return run.stdout + run.stderr

    return outcome


@pytest.mark.parametrize("kernel", CAUGHT)
def test_planted_mistakes_are_caught(planted, kernel):
    for seed in SEEDS:
        assert CAUGHT[kernel] in planted(kernel, True, seed)
        assert planted(kernel, False, seed) == "right\n"


def test_a_maximum_over_memory_that_nobody_wrote(planted):
    """NaN alone would not show, because fmaxf ignores it: in other runs shared memory holds huge numbers."""
    assert "wrong\n" in [planted("maximum", True, seed) for seed in range(10)]
    assert planted("maximum", False, 0) == "right\n"
