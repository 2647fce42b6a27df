"""Which side runs when no backend is named, ours or torch's own: what was measured, and looking it up.

A profile is a JSON file: the machine that was measured and, per operator, variant, dtype and number of threads, the ratios
torch's time / ours at several sizes. Nothing else is kept: where the faster side changes follows from them by `Figure.ours`.

The first of these that exists and fits is in use:

- the file that SCRATCHNET_PROFILE names; "off" means none: the compiled kernels run at every size,
- what `scratchnet tune` wrote into the user's cache directory: for this machine, these versions and this policy only,
- the profile that ships for this instruction set and policy, whatever the machine.

It is read on first use, not on import.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import sys
import tempfile
import warnings
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Callable, NamedTuple, Sequence

import torch
from torch import get_num_threads

import scratchnet
from scratchnet import _compiled
from scratchnet.ops import OPS

SHIPPED = Path(__file__).with_name("profiles")
SLOWER = 1.05  # how many times torch's time ours may take in one direction where both together are not slower
Flips = tuple[int, ...]  # where the faster side changes
THREADS = ("1", "all")  # torch's numbers of threads that are measured; "all" stands for every other one


class Figure(NamedTuple):
    """What was measured at one size: torch's time / ours, the worst over the calls of that size; 0 for a wrong result."""

    size: int  # elements of the first floating-point argument, or the multiply-adds that `Op.work` counts
    forward: float
    both: float  # forward and backward

    @property
    def ours(self) -> bool:
        """Whether ours runs there."""
        return min(self.forward, self.both) * SLOWER >= 1 and self.forward * self.both >= 1

    def __str__(self) -> str:
        return f"{self.forward:.2f}x forward and {self.both:.2f}x with backward at {self.size:,}"


class Key(NamedTuple):
    """What one list of figures is for; variant: one of the strings that `Op.variant` returns; threads: one of THREADS."""

    op: str
    variant: str
    dtype: str
    threads: str


@dataclass(frozen=True)
class Profile:
    """Figures by rising size, and the facts of the machine they were measured on."""

    measured: dict[str, str | int]
    figures: dict[Key, tuple[Figure, ...]]


class Active(NamedTuple):
    """The profile in use, where it is from, and a sentence about each one that does not fit."""

    profile: Profile | None
    source: str
    ignored: tuple[str, ...] = ()


# ---- the choice --------------------------------------------------------------------------------------------------------


def flips(figures: Sequence[Figure]) -> Flips:
    """The sizes up to which each side runs, torch's own first: (4095,) is ours from 4,096 elements on, () never.

    Between two sizes ours runs if it does at both; outside of those measured, the nearest one decides.
    """
    result, before = [], None
    for figure in figures:
        if figure.ours and not (before and before.ours):
            result.append(figure.size - 1 if before else 0)
        elif before and before.ours and not figure.ours:
            result.append(before.size)
        before = figure
    return tuple(result)


Sides = dict[str, dict[str, dict[torch.dtype, tuple[Flips, Flips]]]]
_EVERYWHERE: tuple[Flips, Flips] = ((-1,), (-1,))  # ours runs: nothing was measured
_sides: Sides | None = None  # None until the profile is read
# (operator, variant) -> below which size of a float32 call torch's own runs, on one thread and on more. `_read` fills it.
tiny: dict[tuple[str, str], tuple[float, float]] = {}


def ours(op: str, variant: str, dtype: torch.dtype, size: int) -> bool:
    """Whether our kernel is the faster one for a call of some size; where nothing was measured, it runs."""
    sizes = (_read() if _sides is None else _sides)[op][variant][dtype][get_num_threads() > 1]
    return bisect_left(sizes, size) % 2 == 1


def _read() -> Sides:
    """Operator -> variant -> dtype -> the flips on one thread and on more."""
    global _sides
    sides: Sides = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: _EVERYWHERE)))
    profile = active().profile
    known = profile.figures if profile else {}
    for key in known:
        measured = (known.get(key._replace(threads=threads)) for threads in THREADS)
        one, more = (_EVERYWHERE[0] if figures is None else flips(figures) for figures in measured)
        sides[key.op][key.variant][getattr(torch, key.dtype)] = one, more
        if key.dtype == "float32":
            tiny[key.op, key.variant] = one[0] + 1 if one else math.inf, more[0] + 1 if more else math.inf
    _sides = sides
    return sides


def verdict(key: Key) -> str:
    """Which side runs at which size, and the figures that decided."""
    profile = active().profile
    figures = profile.figures.get(key) if profile else None
    if not figures:
        return "ours: not measured" if profile else "ours"
    score: Callable[[Figure], float] = lambda figure: figure.forward * figure.both
    if all(figure.ours for figure in figures):
        return f"ours at every size: at least {min(figures, key=score)}"
    if not any(figure.ours for figure in figures):
        return f"torch's own at every size: ours is at best {max(figures, key=score)}"
    ranges, bounds = [], flips(figures)
    for low, high in zip_longest(bounds[::2], bounds[1::2]):
        ranges.append(f"from {low + 1:,} to {high:,}" if low and high else f"up to {high:,}" if high else f"from {low + 1:,}")
    first = next(i for i in range(1, len(figures)) if figures[i].ours != figures[i - 1].ours)
    counted = "multiply-adds" if key.op in OPS and OPS[key.op].work else "elements"
    return f"ours {' and '.join(ranges)} {counted}: {figures[first - 1]}, {figures[first]}"


def why(op: str) -> str:
    """What decides for an operator in float32 on this number of threads: a sentence for each variant, from where and when."""
    in_use = active().profile
    threads = THREADS[torch.get_num_threads() > 1]
    known = in_use.figures if in_use else ()
    keys = [key for key in known if (key.op, key.dtype, key.threads) == (op, "float32", threads)] or [Key(op, "", "", "")]
    said = (f"{key.variant}: {verdict(key)}" if key.variant else verdict(key) for key in keys)
    return f"{'; '.join(said)} ({where()})"


def where() -> str:
    """From where the figures are, and when they were measured."""
    profile, source, _ = active()
    return f"{source}, {profile.measured['date']}" if profile else source


# ---- the profile in use ------------------------------------------------------------------------------------------------


@functools.cache
def active() -> Active:
    """The profile in use. A file that SCRATCHNET_PROFILE names and that does not fit is warned about."""
    ignored: list[str] = []
    asked = os.environ.get("SCRATCHNET_PROFILE", "")
    if asked == "off":
        return Active(None, "SCRATCHNET_PROFILE=off")
    for path, source in ((asked, f"SCRATCHNET_PROFILE={asked}"), (cached(), "tuned on this machine")):
        if not path or path is not asked and not os.path.exists(path):
            continue
        try:
            profile = read(Path(path))
            reason = misfit(profile)
        except (OSError, ValueError) as error:
            reason = str(error)
        if not reason:
            return Active(profile, source, tuple(ignored))
        ignored.append(f"{source if path is asked else path} is ignored: {reason}")
        if path is asked:
            warnings.warn(ignored[-1], stacklevel=2)
    name = f"{isa()}-{policy()}"
    if (SHIPPED / f"{name}.json").exists():
        return Active(read(SHIPPED / f"{name}.json"), f"shipped {name} profile", tuple(ignored))
    name = f"avx2-{policy()}"
    source = f"a guess, the shipped {name} profile: {isa()} was never measured, run scratchnet tune"
    return Active(read(SHIPPED / f"{name}.json"), source, tuple(ignored))


def forget() -> None:
    """Read the profile again on the next call: the environment or the files have changed."""
    global _sides
    _sides = None
    tiny.clear()
    active.cache_clear()


def misfit(profile: Profile) -> str:
    """Why a profile does not describe this process; "" if it does."""
    for name, own in here().items():
        other = profile.measured.get(name)
        if name == "torch":
            own, other = minor(str(own)), minor(str(other))
        if own != other:
            return f"{name} was {other!r} when it was measured and is {own!r} here; scratchnet tune measures anew"
    return ""


def here() -> dict[str, str | int]:
    """What has to be equal for the figures of one process to be true in another; of torch's version, the minor one."""
    return {
        "processor": processor(),
        "cores": cores(),
        "isa": isa(),
        "torch_isa": torch.backends.cpu.get_cpu_capability(),
        "policy": policy(),
        "torch": torch.__version__,
        "scratchnet": scratchnet.__version__,
    }


def minor(version: str) -> str:
    """2.13 of 2.13.0+cpu."""
    return ".".join(version.split(".")[:2])


def policy() -> str:
    """What idle threads do, by OpenMP's variables as they are now: "passive", they sleep, or "spin"."""
    sleeps = os.environ.get("OMP_WAIT_POLICY", "").strip().lower() == "passive"
    return "passive" if sleeps or os.environ.get("GOMP_SPINCOUNT", "").strip() == "0" else "spin"


def isa() -> str:
    """The instruction set of the compiled kernels, "" without them."""
    return _compiled.module.cpu_info()["isa"] if _compiled.module else ""


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def cpuinfo() -> dict[str, str]:
    """Linux's description of the last processor; {} elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = (line.partition(":") for line in (path.read_text().splitlines() if path.exists() else ()))
    return {name.strip(): value.strip() for name, _, value in lines}


def processor() -> str:
    """Maker, family, model and name of the processor: virtual machines often hide the name, seldom the rest."""
    import platform  # some 2 ms, and only a tuned profile is compared

    known = cpuinfo()
    numbers = [f"{name} {known[name]}" for name in ("cpu family", "model") if name in known]
    named = known.get("model name") or platform.processor()
    return ", ".join(filter(None, (known.get("vendor_id") or platform.machine(), *numbers, named)))


# ---- files -------------------------------------------------------------------------------------------------------------


def cached() -> Path:
    """Where `scratchnet tune` writes the profile of this instruction set and policy."""
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "scratchnet" / f"{isa()}-{policy()}.json"


def read(path: Path) -> Profile:
    """The profile in a file. OSError if it cannot be read, ValueError if it is none."""
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text)
        figures = {
            Key(*(row[name] for name in Key._fields)): tuple(Figure(*figure) for figure in row["figures"])
            for row in data["operators"]
        }
        data["measured"]["date"], flips(sum(figures.values(), ()))  # numbers, and the date that every sentence names
        return Profile(data["measured"], figures)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is not a profile ({type(error).__name__}: {error})") from None


def write(profile: Profile, path: Path) -> None:
    """Write the file at once: whoever reads meanwhile sees the old one or the new one. OSError if it cannot be written."""
    rows = ",\n".join(json.dumps({**key._asdict(), "figures": figures}) for key, figures in profile.figures.items())
    text = f'{{"measured": {json.dumps(profile.measured, indent=1)},\n"operators": [\n{rows}\n]}}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
