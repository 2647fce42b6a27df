"""Every way to install scratchnet, tried in a fresh environment: does it work, how much comes, how long does it take?

    python tools/installs.py [--readme docs/install.md] [number of a route ...]     (default: all of them)

A route keeps its line in build/installs.json until it is tried again. Each gets a clone and an environment of its own, which
are removed afterwards. The first takes the torch that pip chooses; the others find that of constraints.txt there already. Time
is that of the processor, user and system, so that what else runs on the machine matters little. What the compiler takes is
counted apart, from a sample of the sources: with CXX="ccache g++" only the first route waits for it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from scratchnet import __version__
from scratchnet.cli import markdown
from scratchnet.measure import machine

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "installs.json"
TRIED = ROOT / "build" / "installs" / "tried"  # one name for all: ccache knows a source again in the same place only
EVERY = 12  # of the sources one in so many is in the sample
WRAPPER = """#!/bin/bash
# Compile, and write down the seconds that it took.
TIMEFORMAT='%U %S'
exec 3>&2
{{ time {compiler} "$@" 2>&3; }} 2>>{log}
"""


@dataclass(frozen=True)
class Route:
    """What a reader types, and how that is tried: in a clone, {python} being the interpreter of the new environment."""

    typed: str
    command: str
    empty: bool = False  # nothing is installed yet; otherwise what READY names
    environment: dict[str, str] = field(default_factory=dict)
    kernels: bool = True  # whether the compiled ones are there afterwards


READY = ("torch", "numpy", "rich", "setuptools", "ninja", "pybind11")
PIP = "{python} -m pip install --no-build-isolation"
SDIST = "{here} -W ignore -c 'from setuptools import build_meta; print(build_meta.build_sdist(\"dist\"))'"
ROUTES = (
    Route("`pip install .`, nothing being there", "{python} -m pip install .", empty=True),
    Route("`pip install --no-build-isolation .`", f"{PIP} ."),
    Route("the same with `--editable .`", f"{PIP} --editable ."),
    Route(f"with `scratchnet-{__version__}.tar.gz`", f"{PIP} dist/scratchnet-{__version__}.tar.gz"),
    Route("with `git+URL`", f"{PIP} git+file://{{clone}}"),
    Route("`uv pip install --no-build-isolation .`", "{here} -m uv pip install --python {python} --no-build-isolation ."),
    Route(
        "`pip install --no-build-isolation .`, no compiler being there", f"{PIP} .", environment={"CXX": "none"}, kernels=False
    ),
    Route("the same with `SCRATCHNET_BUILD=0`", f"{PIP} .", environment={"SCRATCHNET_BUILD": "0"}, kernels=False),
    Route("`pip install scratchnet-*.whl`", "{python} -m pip install {wheel}"),
)
FORMS = {"disk": ".0f", "meanwhile": ".0f", "seconds": ".0f"}
WORKS = """
import torch, scratchnet
from scratchnet import _compiled
assert (_compiled.module is not None) == {kernels}, _compiled.reason
torch.testing.assert_close(scratchnet.gelu(torch.ones(3)), torch.nn.functional.gelu(torch.ones(3)))
"""


def megabytes(folder: Path) -> float:
    """What a folder takes on the disk."""
    said = subprocess.run(["du", "--summarize", "--bytes", folder], capture_output=True, text=True).stdout
    return int(said.split()[0]) / 1e6 if said else 0.0


class Peak(threading.Thread):
    """The most that a folder holds until `stop` is called, looked at once a second."""

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self.folder, self.most, self.done = folder, 0.0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(1):
            self.most = max(self.most, megabytes(self.folder))

    def stop(self) -> float:
        self.done.set()
        self.join()
        return self.most


def processor() -> float:
    """Seconds of the processor that ended children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def attempt(route: Route, folder: Path) -> dict[str, float]:
    """Take the route; the result works, or this raises CalledProcessError."""
    clone, environment, passing, log = (folder / name for name in ("clone", "environment", "passing", "log"))
    passing.mkdir(parents=True)
    log.touch()
    compiler = folder / "compiler"
    compiler.write_text(WRAPPER.format(compiler=os.environ.get("CXX", "g++"), log=log))
    compiler.chmod(0o755)
    constraints = str(ROOT / "constraints.txt")
    names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT")
    settings = {} if route.empty else dict.fromkeys(names, constraints)
    settings |= {"CXX": str(compiler), "TMPDIR": str(passing), "UV_CACHE_DIR": str(passing)}
    settings |= {"PIP_NO_CACHE_DIR": "1", "PIP_QUIET": "1"} | route.environment
    left_out = ("PYTHONPATH", "SCRATCHNET_BUILD", "SCRATCHNET_REQUIRE_EXT")
    env = {name: value for name, value in os.environ.items() if name not in left_out} | settings

    wheels = sorted((ROOT / "dist").glob(f"scratchnet-{__version__}-cp{sys.version_info[0]}{sys.version_info[1]}-*.whl"))
    words = {
        "python": environment / "bin" / "python",
        "here": sys.executable,
        "clone": clone,
        "wheel": [*wheels, "no wheel"][0],
    }

    def run(command: str, cwd: Path = clone) -> None:
        subprocess.run(shlex.split(command.format(**words)), cwd=cwd, env=env, check=True)

    # With its history: pip clones it in part, and git never ends to fetch the rest from a shallow one.
    subprocess.run(["git", "clone", "--quiet", f"file://{ROOT}", clone], check=True)
    if ".tar.gz" in route.command:
        run(SDIST)
    subprocess.run(["cp", "-al", environment_of(READY if not route.empty else (), settings), environment], check=True)
    there, before, compiled, peak = megabytes(environment), processor(), seconds(log), Peak(passing)
    peak.start()
    run(route.command)
    took, compiling = processor() - before, seconds(log) - compiled
    meanwhile = peak.stop()
    run("{python} -c " + shlex.quote(WORKS.format(kernels=route.kernels)), cwd=passing)
    return {"disk": megabytes(environment) - there, "meanwhile": meanwhile, "seconds": took - compiling}


def environment_of(packages: tuple[str, ...], settings: dict[str, str]) -> Path:
    """An environment with pip and these packages, to copy: it stays in the build folder."""
    folder = ROOT / "build" / "installs" / ("ready" if packages else "empty")
    if not (folder / "whole").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        if packages:
            pip = [folder / "bin" / "python", "-m", "pip", "install", *packages]
            subprocess.run(pip, env={**os.environ, **settings}, check=True)
        (folder / "whole").touch()
    return folder


def seconds(log: Path) -> float:
    """The sum of what the wrapped compiler wrote down."""
    return sum(map(float, log.read_text().split()))


def compiling() -> float:
    """Minutes of one core that all sources take, from a sample of them, compiled as in the folder of the last build."""
    newest = max((ROOT / "build").glob("C-????????/build.ninja"), key=lambda path: path.stat().st_mtime)
    ninja = [sys.executable, "-m", "ninja", "-C", newest.parent, "-t", "commands"]
    listed = subprocess.run(ninja, capture_output=True, text=True, check=True)
    commands = [line.removeprefix("ccache ") for line in listed.stdout.splitlines() if " -c " in line]
    with tempfile.TemporaryDirectory() as scratch:
        before = processor()
        for command in commands[::EVERY]:
            own = command.partition(" -MMD ")[0] + " -c " + command.partition(" -c ")[2].partition(" -o ")[0]
            subprocess.run(shlex.split(own) + ["-o", f"{scratch}/object"], cwd=newest.parent, check=True)
    return (processor() - before) / len(commands[::EVERY]) * len(commands) / 60


def main(argv: list[str] | None = None) -> None:
    """Try routes, then print all that is known, and with --readme write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = range(len(ROUTES) + 1)
    what = "one route, in the order of the table, from 1; 0: only what the compiler takes (default: all)"
    parser.add_argument("routes", nargs="*", type=int, choices=numbers, metavar="N", help=what)
    markdown.add_readme("installs", parser)
    args = parser.parse_args(argv)
    known = {}
    for number in args.routes or numbers:
        if number == 0:
            line = {"compiling": compiling()}
        else:
            shutil.rmtree(TRIED, ignore_errors=True)
            line = {ROUTES[number - 1].typed: attempt(ROUTES[number - 1], TRIED)}
            shutil.rmtree(TRIED)
        known = (json.loads(KEPT.read_text()) if KEPT.exists() else {}) | line
        KEPT.write_text(json.dumps(known, indent=1))
    if "compiling" not in known:
        raise SystemExit(f"{Path(__file__).name}: how long compiling takes is not known yet: try route 0")
    lines = [("what you type", "C++ kernels", "MB that stay", "MB for a while", "seconds of one core")]
    for route in ROUTES:
        if route.typed in known:
            figures = [format(known[route.typed][name], form) for name, form in FORMS.items()]
            lines.append((route.typed, "yes" if route.kernels else "no", *figures))
    facts = machine.facts()
    caption = (
        f"Measured {facts['date']} on {facts['machine']}, Python {facts['python']}, torch {facts['torch']}, commit "
        f"{facts['commit']}. MB for a while: put aside and removed. Seconds without compiling, which takes one core "
        f"{known['compiling']:.0f} minutes more with {facts['compiler']}, and all share it (from one source in {EVERY})."
    )
    markdown.report("installs", args.readme, lines, caption)


if __name__ == "__main__":
    main()
