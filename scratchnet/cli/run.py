"""`scratchnet run`: starts a program with the settings that a computation on CPU cores needs."""

from __future__ import annotations

import argparse
import ctypes.util
import os
import sys
from pathlib import Path
from typing import NamedTuple

from scratchnet import profile

BUSY = 0.5  # load for each core above which other programs need the cores too
ALLOCATORS = ("jemalloc", "tcmalloc", "tcmalloc_minimal")
CGROUPS = Path("/sys/fs/cgroup")
PRELOAD = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"


class Setting(NamedTuple):
    """An environment variable and why it has that value."""

    name: str
    value: str
    why: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet run`."""
    parser.add_argument("--dry-run", action="store_true", help="print the environment and start nothing")
    rest = argparse.REMAINDER
    parser.add_argument("-m", dest="module", nargs=rest, metavar="...", help="a module and its arguments, as in python -m")
    parser.add_argument("program", nargs=rest, metavar="script.py ...", help="a script and its arguments")


def run(args: argparse.Namespace) -> int:
    """Say what is set and why, and become the program."""
    program = ["-m", *args.module] if args.module else args.program
    if not (program or args.dry_run):
        raise SystemExit("scratchnet run: name a program: scratchnet run script.py ..., or scratchnet run -m module ...")
    chosen = settings()
    for setting in chosen:
        mine = os.environ.get(setting.name)
        said = f"{mine} is kept, as you set it" if mine is not None else f"{setting.value}: {setting.why}"
        print(f"scratchnet run: {setting.name}={said}", file=sys.stderr)
    kept = physical_cores()
    if not shared() and len(kept) < profile.cores():
        print(f"scratchnet run: on processors {_listed(kept)}: one for each physical core", file=sys.stderr)
    if args.dry_run:
        for setting in chosen:
            print(f"{setting.name}={os.environ.get(setting.name, setting.value)}")
        return 0
    if not shared() and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, kept)
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *program], {**{s.name: s.value for s in chosen}, **os.environ})


def settings() -> list[Setting]:
    """What a program that computes with torch on CPU cores needs here."""
    count, quota = len(physical_cores()), _quota()
    threads = max(1, min(count, int(quota))) if quota else count
    why = f"{count} physical cores that this process may use"
    why += f", of which the control group grants {quota:g}" if quota and quota < count else ""
    found = [Setting("OMP_NUM_THREADS", str(threads), why)]
    if reason := shared():
        found.append(Setting("OMP_WAIT_POLICY", "passive", f"idle threads sleep, because {reason}"))
    else:
        found.append(Setting("OMP_WAIT_POLICY", "active", "idle threads wait for work without sleeping: the cores are free"))
    found.append(Setting("THP_MEM_ALLOC_ENABLE", "1", "torch's own large results on huge pages too"))
    if allocator := next(filter(None, map(ctypes.util.find_library, ALLOCATORS)), None):
        found.append(Setting(PRELOAD, allocator, "an allocator that keeps freed memory for the next step"))
    return found


def physical_cores() -> set[int]:
    """One processor for each physical core that this process may use."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    first: dict[str, int] = {}
    for processor in sorted(allowed):
        siblings = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        first.setdefault(siblings.read_text() if siblings.exists() else str(processor), processor)
    return set(first.values())


def shared() -> str:
    """Why the cores are not this program's alone; "" if they are."""
    quota, count = _quota(), len(physical_cores())
    if quota and quota < count:
        return f"the control group grants {quota:g} of {count} cores"
    load = os.getloadavg()[0]
    return f"other programs kept {load:.1f} of {count} cores busy in the last minute" if load > BUSY * count else ""


def _quota() -> float | None:
    """How many cores' worth of time the control group (version 2) grants; None: no limit, or none is known."""
    groups = Path("/proc/self/cgroup")
    names = [line[3:] for line in (groups.read_text().splitlines() if groups.exists() else ()) if line.startswith("0::")]
    for name in (*names, "/"):
        limit = CGROUPS / name.lstrip("/") / "cpu.max"
        if limit.exists():
            quota, period = limit.read_text().split()
            return None if quota == "max" else int(quota) / int(period)
    return None


def _listed(processors: set[int]) -> str:
    return ",".join(map(str, sorted(processors)))
