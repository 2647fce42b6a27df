"""Random calls of every operator in child processes, one per instruction set, so that a crash says which case it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fuzz_calls import DRAWERS
from fuzz_case import draw
from fuzz_judge import problems

from scratchnet import _compiled, backends
from scratchnet.functions import gather, gelu
from scratchnet.ops import OPS

# The widest instruction set gets most of the cases; a part is what one test worker runs.
QUICK = [(None, 80)] * 5 + [("avx2", 50), ("baseline", 50)]
FULL = [(None, 400)] * 20 + [("avx2", 1000), ("baseline", 1000)]


def fuzz(request: pytest.FixtureRequest, part: int, isa: str | None, cases: int) -> None:
    """Run this many cases; a line that fails holds the command that repeats its case."""
    if isa and isa not in _compiled.module.cpu_info()["isas_supported"]:
        pytest.skip(f"this CPU has no {isa}")
    seed = int(request.config.getoption("--fuzz-seed")) + 1000 * part
    print(f"seed {seed}")
    environment = {name: value for name, value in os.environ.items() if name != "SCRATCHNET_CPU_ISA"}
    environment |= {"SCRATCHNET_CPU_ISA": isa} if isa else {}
    command = [sys.executable, str(Path(__file__).parent), str(seed), "--cases", str(cases)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    failures = [line for line in lines if "FAIL" in line]
    assert run.returncode == 0 and len(lines) == cases, "\n".join([*failures, *lines[-1:], run.stderr])


@pytest.mark.parametrize("part", range(len(QUICK)))
def test_fuzz(request, part):
    fuzz(request, part, *QUICK[part])


@pytest.mark.full
@pytest.mark.parametrize("part", range(len(FULL)))
def test_fuzz_long(request, part):
    fuzz(request, part, *FULL[part])


def test_every_operator_is_drawn():
    assert {draw(seed).op.name for seed in range(300)} == set(OPS)
    assert set(DRAWERS) <= set(OPS)


def test_a_seed_is_one_case():
    assert str(draw(7)) == str(draw(7)) != str(draw(8))


def test_faults_are_found(monkeypatch):
    """One of each kind: a number, a dtype, an exception too many and one too few, an input written to, bits by threads."""
    cases = [case for case in map(draw, range(1000)) if case.op.name == "gelu" and not case.mistake and case.args[0].numel()]
    right = gelu.gelu

    def inexact(x, approximate="none"):  # the oracle, which is called in the same way, stays exact
        return right(x, approximate) * (1 if backends._named == "numpy" else 1.1)

    def harmful(x, approximate="none"):
        y = right(x, approximate)
        x.detach().zero_()
        return y

    def refuses(x, approximate="none"):
        raise RuntimeError("no")

    def threaded(x, approximate="none"):
        return right(x, approximate) + torch.get_num_threads() * torch.finfo(x.dtype).eps

    for fault, words in (
        (inexact, "error"),
        (lambda x, approximate="none": right(x.double(), approximate), "dtypes and shapes"),
        (refuses, "exception: ours RuntimeError"),
        (harmful, "harmed"),
        (threaded, "other bits"),
    ):
        monkeypatch.setattr(gelu, "gelu", fault)
        assert any(words in problem for case in cases[:20] for problem in problems(case)), words
    wrong = [case for case in map(draw, range(3000)) if case.op.name == "gather" and case.mistake]
    monkeypatch.setattr(gather, "gather", lambda x, dim, index: torch.zeros(index.shape))
    assert any("no exception" in problem for case in wrong for problem in problems(case))
