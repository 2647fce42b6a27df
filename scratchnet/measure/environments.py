"""The same figures in several environments: wait policy, torch's pages, instruction set, another torch.

All of these are read when torch is loaded: each environment is a process of its own, `scratchnet bench --csv`.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, Sequence

import scratchnet
from scratchnet import profile
from scratchnet.measure import machine

PASSIVE = {"OMP_WAIT_POLICY": "passive"}
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
AVX2 = {
    "SCRATCHNET_CPU_ISA": "avx2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
LEGEND = (
    "passive: idle threads sleep; spin: they wait without sleeping, as they do unless OMP_WAIT_POLICY is set. huge pages: "
    "torch with THP_MEM_ALLOC_ENABLE=1 (our large results are on huge pages everywhere). avx2 on a machine that has AVX-512: "
    "both sides are held to it."
)

Row = dict[str, str]  # a line of a CSV
Table = dict[tuple[str, str], dict[str, dict[str, Row]]]  # (operator, size) -> environment -> direction -> the row


class Environment(NamedTuple):
    """A column of the table: which variables are set, and whose torch runs."""

    name: str
    variables: dict[str, str]
    python: str = sys.executable


def environments() -> list[Environment]:
    """What is measured on this CPU: AVX-512 and AVX2 where it has both."""
    isa = profile.isa()
    chosen = {}
    for level, variables in ({"avx512": {}, "avx2": AVX2} if isa == "avx512" else {isa: {}}).items():
        chosen[f"{level} passive"] = variables | PASSIVE
        chosen[f"{level} spin"] = variables
        chosen[f"{level} passive, huge pages"] = variables | PASSIVE | HUGE_PAGES
    return [Environment(*item) for item in chosen.items()]


def another(python: str) -> Environment:
    """The torch of another interpreter, with this very package. RuntimeError if that does not work."""
    ask = "import rich, torch; from scratchnet import backends; backends.backend('cpp'); print(torch.__version__)"
    version = _run(Environment(python, PASSIVE, python), "-c", ask).split()[-1]
    return Environment(f"{profile.isa()} passive, torch {version}", PASSIVE, python)


def measure(environment: Environment, options: Sequence[str]) -> tuple[list[Row], list[str]]:
    """What `scratchnet bench <options>` writes there, each row with the environment's name; a line for each wrong result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.csv"
        said = _run(environment, "-m", "scratchnet", "bench", *options, "--csv", str(path), result=path)
        wrong = [f"{line} ({environment.name})" for line in said.splitlines() if line.startswith("WRONG")]
        return [{"environment": environment.name} | row for row in read(path)], wrong


def _run(environment: Environment, *arguments: str, result: Path | None = None) -> str:
    """What its Python prints. RuntimeError if it fails or, where a file should result, leaves none."""
    ours = {*PASSIVE, *HUGE_PAGES, *AVX2}
    variables = {name: value for name, value in os.environ.items() if name not in ours} | environment.variables
    with tempfile.TemporaryDirectory() as folder:  # where another Python finds this package and none of its neighbours
        Path(folder, "scratchnet").symlink_to(Path(scratchnet.__file__).parent)
        try:
            ran = subprocess.run([environment.python, *arguments], env=variables, cwd=folder, capture_output=True, text=True)
        except OSError as error:
            raise RuntimeError(f"{environment.name} does not start: {error}") from error
    if not result.exists() if result else ran.returncode:
        raise RuntimeError(f"{environment.name} fails: {(ran.stderr.strip() or 'without a word').splitlines()[-1]}")
    return ran.stdout


def read(path: Path) -> list[Row]:
    """The lines of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: Sequence[Row]) -> Table:
    """The rows with warm caches, in the order in which they came."""
    found: Table = {}
    for row in rows:
        if row["cache"] == "warm":
            call = f"{row['op']}, {row['example']}", f"{row['rows']}x{row['columns']}"
            found.setdefault(call, {}).setdefault(row["environment"], {})[row["direction"]] = row
    return found


def caption(rows: Sequence[Row]) -> str:
    """What goes under a table of several environments. ValueError without rows: nothing was measured."""
    if not rows:
        raise ValueError("no rows: nothing was measured in any environment")
    facts = rows[0] | dict.fromkeys(("isa", "OMP_WAIT_POLICY"), "as in the table")
    return (
        f"{machine.measured(facts, 'cpu')} Each environment is a process; in it torch's time / ours is the median of runs in "
        f"turns: above 1 we are faster. {LEGEND}"
    )
