"""Builds `scratchnet._C` with ninja. Metadata is in pyproject.toml.

Kernels in csrc/cpu whose file name starts with a number of 2 or more are compiled once per instruction set; everything
else once. torch is located, never imported, so that the build works in pip's isolated environment and beside any torch.

SCRATCHNET_BUILD=0             install without the compiled kernels
SCRATCHNET_REQUIRE_EXT=1       a build that fails stops the install (default: install the other columns and say why)
SCRATCHNET_SANITIZE=address    likewise undefined, thread: a slow build that finds memory errors and races
CXX=..., MAX_JOBS=...          the compiler; the most compilers to run at a time
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
MODULE = "_C" + sysconfig.get_config_var("EXT_SUFFIX")
NUMPY_BINDINGS = ("module.cpp", "numpy_ops.cpp")  # speak NumPy through pybind11; the other bindings speak torch
FAILURE = "_build_failure.txt"  # beside the module; scratchnet/_compiled.py reads it

ISA_FLAGS = {"baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma", "-mf16c"]
    ISA_FLAGS["avx512"] = [f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "cd")]
    ISA_FLAGS["avx512"] += [*ISA_FLAGS["avx2"], "-mprefer-vector-width=512"]
COMMON_FLAGS = ["-std=c++20", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wno-psabi", f"-I{CSRC / 'cpu'}"]
COMMON_FLAGS += ["-Wno-maybe-uninitialized"]  # GCC 12 warns about its own AVX-512 intrinsics (GCC bug 105593)
COMMON_FLAGS += [f"-ffile-prefix-map={ROOT}{os.sep}="]  # messages and debug information name csrc/..., on every machine
if len(ISA_FLAGS) == 1:
    COMMON_FLAGS.append("-DSN_SINGLE_ISA")
KERNEL_FLAGS = ["-ffp-contract=fast", "-fno-math-errno", "-fno-exceptions"]
SANITIZERS = {"address": [], "undefined": ["-fno-sanitize-recover=undefined"], "thread": []}
# The oldest torch that can load the module; it hides every torch header that has no stable ABI.
TORCH_TARGET = "-DTORCH_TARGET_VERSION=0x020a000000000000"


class BuildFailure(Exception):
    """One sentence for the user, then what the compiler said."""

    def __init__(self, sentence: str, details: str = ""):
        super().__init__(sentence)
        self.sentence, self.details = sentence, details


def find_compiler() -> list[str]:
    candidates = [shlex.split(os.environ["CXX"])] if os.environ.get("CXX") else [["g++"], ["clang++"], ["c++"]]
    for command in candidates:
        if shutil.which(command[0]):
            return command
    names = ", ".join(shlex.join(command) for command in candidates)
    mend = "xcode-select --install" if sys.platform == "darwin" else "sudo apt install g++"
    raise BuildFailure(f"There is no C++ compiler ({names} not found): install one (e.g. `{mend}`) or set CXX.")


def find_package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BuildFailure(
            f"The build needs the package {name}, which this Python does not have: "
            f"`pip install {name}`, or leave out --no-build-isolation."
        )
    return Path(spec.origin).parent


def job_count() -> int:
    """Compilers to run at a time: one a core, each with 2 GB of free memory, at most MAX_JOBS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        free = int(re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()).group(1)) * 1024
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores, free // 2**31, int(os.environ.get("MAX_JOBS") or cores)))


def quoted(flags: list[str]) -> str:
    """Flags for a command in build.ninja: quoted for the shell, then for ninja."""
    return shlex.join(flags).replace("$", "$$")


def ninja_path(path: Path) -> str:
    return re.sub(r"([$ :])", r"$\1", str(path))


def kernel_objects() -> list[tuple[str, Path, list[str]]]:
    """(object, source, flags) of everything in csrc/cpu."""
    objects = []
    for source in sorted((CSRC / "cpu").rglob("*.cpp")):
        rung = re.match(r"(\d+)_", source.name)
        optimize = "-O2" if rung and int(rung[1]) == 1 else "-O3"  # rung 1 is the loop that a beginner would write
        isas = ISA_FLAGS if rung and int(rung[1]) > 1 else ["baseline"]
        for isa in isas:
            name = f"{source.relative_to(CSRC).with_suffix('')}.{isa}.o"
            objects.append((name, source, [optimize, *KERNEL_FLAGS, f"-DSN_ISA={isa}", *ISA_FLAGS[isa]]))
    return objects


def binding_objects(torch: Path) -> list[tuple[str, Path, list[str]]]:
    """(object, source, flags) of everything in csrc/bindings: a file speaks either NumPy (pybind11) or torch."""
    python = [f"-I{find_package('pybind11') / 'include'}", f"-I{sysconfig.get_path('include')}"]
    objects = []
    for source in sorted(set((CSRC / "bindings").glob("*.cpp")) - set((CSRC / "bindings").glob("cuda_*"))):
        flags = python if source.name in NUMPY_BINDINGS else [f"-I{torch / 'include'}", TORCH_TARGET]
        objects.append((f"{source.relative_to(CSRC).with_suffix('')}.o", source, ["-O2", *flags]))
    return objects


def git_commit() -> str:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return ""
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()


def write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def build(version: str) -> Path:
    """Brings the module up to date and returns its path."""
    if os.name == "nt":
        raise BuildFailure("The C++ kernels cannot be built on Windows: install scratchnet in WSL.")
    import fcntl  # not on Windows

    compiler = find_compiler()
    torch = find_package("torch")
    ninja = [sys.executable, "-m", "ninja"]
    find_package("ninja")

    try:
        answer = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=True)
        compiler_version = answer.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise BuildFailure(f"The C++ compiler `{shlex.join(compiler)}` does not start: {error}.") from error
    torch_version = re.search(r"__version__ = '(.*)'", (torch / "version.py").read_text())[1]
    common = list(COMMON_FLAGS)
    sanitizer = os.environ.get("SCRATCHNET_SANITIZE")
    if sanitizer:
        if sanitizer not in SANITIZERS:
            raise BuildFailure(f"SCRATCHNET_SANITIZE={sanitizer}: choose {', '.join(SANITIZERS)}.")
        common += ["-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitizer}", *SANITIZERS[sanitizer]]

    # One folder a toolchain: another compiler, torch or Python never meets objects that it did not make.
    toolchain = repr((compiler, compiler_version, torch_version, sanitizer))
    folder = ROOT / "build" / f"{sys.implementation.cache_tag}-{hashlib.sha256(toolchain.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)

    objects = [*kernel_objects(), *binding_objects(torch)]
    if sanitizer:
        objects = [(name, source, [*flags, "-O1"]) for name, source, flags in objects]
    facts = {
        "version": version,
        "commit": git_commit(),
        "compiler": compiler_version,
        "flags": shlex.join(["-O3", *KERNEL_FLAGS, *(f for f in common if str(ROOT) not in f)]),
        "isas": " ".join(ISA_FLAGS),
        "torch": torch_version,
        "python": platform.python_version(),
        "sanitizer": sanitizer or "",
    }
    rows = [f"    {{{json.dumps(name)}, {json.dumps(value)}}}," for name, value in facts.items()]
    head = ["extern const char* const sn_build_facts[][2];", "const char* const sn_build_facts[][2] = {"]
    text = "\n".join([*head, *rows, "    {0, 0},", "};", ""])
    write_if_changed(folder / "build_facts.cpp", text)
    objects.append(("build_facts.o", folder / "build_facts.cpp", []))

    if sys.platform == "darwin":
        link = ["-bundle", "-undefined", "dynamic_lookup", f"-L{torch / 'lib'}", "-ltorch_cpu"]
    else:
        # -lstdc++ first: libc10 exports a few of its symbols, and ours must not bind to those copies.
        link = ["-shared", "-lstdc++", f"-L{torch / 'lib'}", "-Wl,--as-needed", "-ltorch_cpu"]
    if sanitizer:
        link.append(f"-fsanitize={sanitizer}")
    lines = [
        "rule compile",
        f"  command = {quoted(compiler)} {quoted(common)} $flags -MMD -MF $out.d -c $in -o $out",
        "  description = $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = {quoted(compiler)} $in {quoted(link)} -o $out",
        "  description = $out",
    ]
    for name, source, flags in objects:
        lines += [f"build {ninja_path(Path(name))}: compile {ninja_path(source)}", f"  flags = {quoted(flags)}"]
    lines += [f"build {MODULE}: link {' '.join(ninja_path(Path(name)) for name, _, _ in objects)}", ""]

    with open(folder / "lock", "w") as lock:  # two installs at a time take turns
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_if_changed(folder / "build.ninja", "\n".join(lines))
        command = [*ninja, "-C", str(folder), "-k", "0", "-j", str(job_count()), MODULE]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        steps = re.split(r"^(?=\[\d+/\d+\] )", result.stdout, flags=re.MULTILINE)
        failed = [step for step in steps if "FAILED: " in step] or steps
        raise BuildFailure(f"Compiling the C++ kernels with {compiler_version} failed.", "".join(failed))
    print(result.stdout)
    return folder / MODULE


class BuildWithNinja(build_ext):
    """Puts the module, or the reason why there is none, into the package."""

    def run(self) -> None:
        package = ROOT / "scratchnet" if self.inplace else Path(self.build_lib, "scratchnet")
        package.mkdir(parents=True, exist_ok=True)
        # What an earlier build left must not pass for the result of this one.
        (package / FAILURE).unlink(missing_ok=True)
        try:
            if os.environ.get("SCRATCHNET_BUILD") == "0":
                raise BuildFailure("The C++ kernels were skipped, as SCRATCHNET_BUILD=0 asked.")
            module = build(self.distribution.get_version())
        except BuildFailure as failure:
            (package / MODULE).unlink(missing_ok=True)
            skipped = os.environ.get("SCRATCHNET_BUILD") == "0"
            if os.environ.get("SCRATCHNET_REQUIRE_EXT") == "1":
                raise SystemExit(f"scratchnet: {failure.sentence}\n{failure.details}") from failure
            print(f"scratchnet: {failure.sentence} The other columns are installed.\n{failure.details}", file=sys.stderr)
            status = "skipped" if skipped else "failed"
            (package / FAILURE).write_text(f"{status}\n{failure.sentence}\n{failure.details}")
        else:
            # A new file under the old name: a process that has the old module in use keeps it.
            shutil.copy(module, package / (MODULE + ".new"))
            os.replace(package / (MODULE + ".new"), package / MODULE)


setup(
    packages=[*find_packages(include=["scratchnet", "scratchnet.*"]), "scratchnet.kernels"],
    package_dir={"scratchnet.kernels": "kernels"},
    ext_modules=[Extension("scratchnet._C", sources=[])],
    cmdclass={"build_ext": BuildWithNinja},
)
