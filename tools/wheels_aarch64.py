"""A wheel for 64-bit ARM, made and tried on another machine: into dist/, as tools/wheels.py makes those for this one.

    python tools/wheels_aarch64.py

Debian's Python for ARM runs in qemu, and calls a cross-compiler that runs as it is. There the wheel is tested too, with the
oldest torch that is promised, as PyPI's newer ones for ARM bring CUDA. Needs Debian with g++-aarch64-linux-gnu and qemu-user;
what it fetches, some 200 MB, stays in build/aarch64.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import tomllib
import wheels

HERE = wheels.ROOT / "build" / "aarch64"
DEBIAN = HERE / "debian"
PYTHON = DEBIAN / "usr" / "bin" / "python-in-qemu"
CONSTRAINTS = HERE / "constraints.txt"
NEEDED = {"aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu", "qemu-aarch64": "qemu-user", "apt-get": "apt"}  # command -> package
SETTINGS = """APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
Dir::State "{apt}"; Dir::State::status "{apt}/status"; Dir::Cache "{apt}";
"""
QEMU = """#!/bin/sh
# As $0, so that Python finds the environment whose link this is.
exec qemu-aarch64 -L {debian} -0 "$0" {python} "$@"
"""


def debian() -> None:
    """Python with its headers, from Debian's packages for ARM, and a command that runs it here."""
    apt = HERE / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()  # nothing is installed: all that Python needs is fetched
    settings = apt / "settings"
    settings.write_text(SETTINGS.format(apt=apt))
    fetch = ["install", "--yes", "--download-only", "--no-install-recommends", "python3", "libpython3-dev", "libstdc++6"]
    for words in (["update"], fetch):
        subprocess.run(["apt-get", "--quiet=2", *words], env={**os.environ, "APT_CONFIG": str(settings)}, check=True)
    for package in (apt / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, DEBIAN], check=True)
    python = next(DEBIAN.glob("usr/bin/python3.*[0-9]"))
    # Its pyconfig.h includes that of the processor, by a path that begins in /usr/include.
    (DEBIAN / "usr/include" / python.name / "aarch64-linux-gnu").symlink_to("../aarch64-linux-gnu")
    shutil.copy(shutil.which("ninja"), PYTHON.parent)  # called from there; it runs without qemu
    PYTHON.write_text(QEMU.format(debian=DEBIAN, python=python))
    PYTHON.chmod(0o755)


def torch() -> Path:
    """The folder with the oldest promised torch for ARM, to link with."""
    project = tomllib.loads((wheels.ROOT / "pyproject.toml").read_text())["project"]
    oldest = next(name for name in project["dependencies"] if name.startswith("torch>="))
    CONSTRAINTS.write_text(f"{oldest.replace('>=', '==')}.*\n")
    uv = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", PYTHON, "--target", HERE / "torch", "--no-deps"]
    subprocess.run([*uv, "--constraint", CONSTRAINTS, "torch"], check=True)
    return HERE / "torch"


def main() -> None:
    lacking = [package for command, package in NEEDED.items() if not shutil.which(command)]
    if lacking:
        raise SystemExit(f"{Path(__file__).name}: lacks {', '.join(lacking)}: sudo apt install {' '.join(lacking)}")
    if not PYTHON.exists():
        shutil.rmtree(DEBIAN, ignore_errors=True)
        debian()
    compiler = os.environ.get("CXX", "aarch64-linux-gnu-g++")
    wheels.make(str(PYTHON), CONSTRAINTS, CXX=compiler, PYTHONPATH=str(torch()))


if __name__ == "__main__":
    main()
