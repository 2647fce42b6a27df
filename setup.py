"""Builds `scratchnet._C`, and `scratchnet._cuda` where torch has CUDA, with ninja. Metadata is in pyproject.toml.

Kernels, csrc/cpu/<op>/<rung>_<idea>.cpp, are compiled once per instruction set, but the naive loops and everything else once;
csrc/cuda by nvcc. The lists of operators and of rungs are written here from the files that exist. torch is located, never
imported, so that the build works in pip's isolated environment and with any torch.

SCRATCHNET_BUILD=0             install without the compiled kernels
SCRATCHNET_REQUIRE_EXT=1       a build that fails stops the install (default: install the other columns and say why)
SCRATCHNET_DEBUG=1             kernels check every access to their workspace against its size (csrc/cpu/memory.h)
SCRATCHNET_SANITIZE=address    likewise undefined, thread, or address,undefined: a slow build that finds memory errors and races
SCRATCHNET_CUDA=0, 1           without the CUDA kernels; with them, even for a torch without CUDA: a failure stops the install
TORCH_CUDA_ARCH_LIST=...       the GPUs to compile for, such as 8.0;9.0a;10.0+PTX (default: those that are here), or All: one of
                               each generation, and PTX for newer ones
CXX=..., MAX_JOBS=...          the compiler; the largest number of compilers to run at a time
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
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
SUFFIX, SOABI = sysconfig.get_config_vars("EXT_SUFFIX", "SOABI")
WHAT = {"_C": "C++ kernels", "_cuda": "CUDA kernels"}  # module -> what is in it
NAIVE = "1_naive.cpp"  # the loop that a beginner would write, compiled as a beginner would: -O2, no flag of an instruction set
NUMPY_BINDINGS = ("module.cpp", "numpy_ops.cpp", "cuda_module.cpp")  # speak Python through pybind11; the others speak torch

# Instruction set (csrc/cpu/isa.h) -> its flags. The first one is what the compiler assumes of every CPU.
ISA_FLAGS = {"neon" if platform.machine() in ("aarch64", "arm64") else "baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma", "-mf16c"]
    ISA_FLAGS["avx512"] = [f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "cd")]
    ISA_FLAGS["avx512"] += [*ISA_FLAGS["avx2"], "-mprefer-vector-width=512"]
COMMON_FLAGS = ["-std=c++20", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wno-psabi"]
COMMON_FLAGS += ["-Wno-maybe-uninitialized"]  # GCC 12 warns about its own AVX-512 intrinsics (GCC bug 105593)
COMMON_FLAGS += ["-Wno-unknown-warning-option"]  # for clang, which does not know that one; GCC takes no notice
COMMON_FLAGS += [f"-ffile-prefix-map={ROOT}{os.sep}="]  # messages and debug information name csrc/..., on every machine
COMMON_FLAGS += [f"-I{CSRC}"]
if sys.platform == "darwin":
    # The oldest macOS that this Python promises, which is also in the name of the wheel; else clang takes the one it runs on.
    os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", str(sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")))
if len(ISA_FLAGS) == 1:
    COMMON_FLAGS.append("-DSN_SINGLE_ISA")
KERNEL_FLAGS = ["-ffp-contract=fast", "-fno-math-errno"]
NVCC_FLAGS = ["-std=c++17", "-O3", "--expt-relaxed-constexpr", "-Xcompiler", "-fPIC,-fvisibility=hidden"]
CXX_SECONDS = 1.3  # that a core takes for a source, on average (tools/installs.py, g++ 12 on Zen 4)
MEND = f"install one (e.g. `{'xcode-select --install' if sys.platform == 'darwin' else 'sudo apt install g++'}`) or set CXX."
SANITIZERS = {"address": [], "undefined": ["-fno-sanitize-recover=undefined"], "thread": []}
# The oldest torch that can load the module; it hides every torch header that has no stable ABI.
TORCH_TARGET = "-DTORCH_TARGET_VERSION=0x020a000000000000"


class BuildFailure(Exception):
    """One sentence for the user, then what the compiler said."""

    def __init__(self, sentence: str, details: str = ""):
        super().__init__(sentence)
        self.sentence, self.details = sentence, details


class Skipped(BuildFailure):
    """Nothing went wrong: the module is not to be built."""


def find_compiler() -> list[str]:
    candidates = [shlex.split(os.environ["CXX"])] if os.environ.get("CXX") else [["g++"], ["clang++"], ["c++"]]
    for command in candidates:
        if shutil.which(command[0]):
            return command
    names = ", ".join(shlex.join(command) for command in candidates)
    raise BuildFailure(f"There is no C++ compiler ({names} not found): {MEND}")


def find_package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BuildFailure(
            f"The build needs the package {name}, which this Python does not have: "
            f"`pip install {name}`, or leave out --no-build-isolation."
        )
    return Path(spec.origin).parent


def job_count() -> int:
    """Compilers to run at a time: one per core, each with 2 GB of free memory, at most MAX_JOBS."""
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


def rungs(column: str) -> dict[str, list[Path]]:
    """Operator -> the files of its rungs in csrc/<column>/<operator>, from the first to the last."""
    files = sorted((CSRC / column).glob("*/[0-9]_*"))
    return {name: [file for file in files if file.parent.name == name] for name in sorted({file.parent.name for file in files})}


def copies(source: Path, isas: Iterable[str] = ISA_FLAGS) -> list[str]:
    """The compiled copies of a source: one per instruction set; a single one of naive loops, of what is no kernel, of CUDA."""
    if source.suffix == ".cu":
        return ["cuda"]
    once = source.name == NAIVE or source.parent == CSRC / "cpu"
    return list(isas)[:1] if once else list(isas)


def kernel_objects() -> list[tuple[str, Path, list[str]]]:
    """(object, source, flags) of everything in csrc/cpu."""
    objects = []
    for source in sorted((CSRC / "cpu").rglob("*.cpp")):
        optimize = "-O2" if source.name == NAIVE else "-O3"
        for isa in copies(source):
            name = f"{source.relative_to(CSRC).with_suffix('')}.{isa}.o"
            objects.append((name, source, [optimize, *KERNEL_FLAGS, f"-DSN_ISA={isa}", *ISA_FLAGS[isa]]))
    return objects


def ladders(column: str, ladder: dict[str, list[Path]] | None = None, isas: Iterable[str] = ISA_FLAGS) -> str:
    """ladders.cpp: <op>_kernels(rung) of every operator and <op>_rungs, as csrc/ops/table.h promises them."""
    ladder = ladder or rungs(column)
    headers = [f"{column}/ladder.h", "ops/numbers.h", *(f"ops/{op}.h" for op in ladder)]
    lines = [*(f'#include "{header}"' for header in headers), "", "namespace scratchnet {", ""]
    for op, files in ladder.items():
        table = "".join(map(str.capitalize, op.split("_"))) + "Kernels"
        names = [[f"{op}_{file.name[0]}_{copy}" for copy in copies(file, isas)] for file in files]
        tables = [f"in_use({{&{', &'.join(rung)}}})" if len(rung) > 1 else f"&{rung[0]}" for rung in names]
        lines += [
            f"extern const {table} {', '.join(dict.fromkeys(sum(names, [])))};",
            f"const {table}& {op}_kernels(int64_t rung) {{",
            f"  static const {table}* const tables[] = {{{', '.join(tables)}}};",
            f"  return *tables[max(1, min(rung, {len(files)})) - 1];",
            "}",
            f"extern const int64_t {op}_rungs = {len(files)};",
            "",
        ]
    lines += [f"extern const int64_t longest_ladder = {max(map(len, ladder.values()))};", "", "}  // namespace scratchnet", ""]
    return "\n".join(lines)


def operators(column: str) -> str:
    """operators.h: SN_OPERATORS(X), the lists SN_..._OPS(X) of csrc/bindings/*_ops.h; for CUDA no SN_..._HOST_OPS(X)."""
    lists = {}
    for header in sorted((CSRC / "bindings").glob("*_ops.h")):
        names = re.findall(r"#define (SN_\w+_OPS)\(X\)", header.read_text())
        lists[header.name] = [f"{name}(X)" for name in names if column == "cpu" or not name.endswith("_HOST_OPS")]
    includes = [f'#include "bindings/{header}"' for header, own in lists.items() if own]
    return "\n".join([*includes, "", f"#define SN_OPERATORS(X) {' '.join(sum(lists.values(), []))}", ""])


def binding_objects(torch: Path, cuda: bool) -> list[tuple[str, Path, list[str]]]:
    """(object, source, flags) of everything in csrc/bindings, for the CUDA module or for the other one."""
    pybind11, python = find_package("pybind11"), sysconfig.get_path("include")
    includes = {True: {"pybind11": pybind11 / "include", "python": python}, False: {"torch": torch / "include"}}
    objects = []
    for source in sorted((CSRC / "bindings").glob("*.cpp")):
        numpy = source.name in NUMPY_BINDINGS
        flags = [flag for name, at in includes[numpy].items() for flag in (f"-I{at}", f"-ffile-prefix-map={at}={name}")]
        if source.name.startswith("cuda_") == cuda:
            name = f"{source.relative_to(CSRC).with_suffix('')}.{SOABI if numpy else 'torch'}.o"
            objects.append((name, source, ["-O2", *flags, *([] if numpy else [TORCH_TARGET])]))
    return objects


def git_commit() -> str:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return ""
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()


def write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


@dataclass
class Module:
    """What a module is built from and by which commands; ninja adds an object's flags, source and name."""

    name: str
    facts: dict[str, str]  # what build_info() returns
    written: dict[str, str]  # name of a file that the build writes -> its text
    commands: dict[str, list[str]]  # rule -> command without sources and output
    objects: list[tuple[str, str, Path, list[str]]]  # object, rule, source, flags
    link: tuple[list[str], list[str]]  # what comes before and after the objects


def compiler_version(command: list[str]) -> str:
    try:
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        return next(line for line in answer.stdout.splitlines() if re.search(r"\d\.\d", line))
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        # A Mac without the command-line tools has a g++ that only asks for them.
        said = getattr(error, "stderr", "")
        raise BuildFailure(f"The compiler `{shlex.join(command)}` does not start ({error}): {MEND}", said) from error


def common_facts(version: str, torch: Path) -> dict[str, str]:
    found = re.search(r"__version__ = '(.*)'", (torch / "version.py").read_text())
    return {"version": version, "commit": git_commit(), "torch": found[1]}


def written(facts: dict[str, str], column: str) -> dict[str, str]:
    """What the build writes for a module: file -> text."""
    rows = [f"    {{{json.dumps(name)}, {json.dumps(value)}}}," for name, value in facts.items()]
    head = ["extern const char* const sn_build_facts[][2];", "const char* const sn_build_facts[][2] = {"]
    build_facts = "\n".join([*head, *rows, "    {0, 0},", "};", ""])
    return {"build_facts.cpp": build_facts, "ladders.cpp": ladders(column), "operators.h": operators(column)}


def cpu_module(version: str) -> Module:
    """scratchnet._C."""
    compiler, torch = find_compiler(), find_package("torch")
    common, sanitizer = list(COMMON_FLAGS), os.environ.get("SCRATCHNET_SANITIZE")
    debug = os.environ.get("SCRATCHNET_DEBUG") == "1"
    if debug:
        common.append("-DSN_DEBUG")
    objects = [*kernel_objects(), *binding_objects(torch, cuda=False)]
    if sys.platform == "darwin":
        # Beside the package torch, wherever that is; libc++ comes with the compiler.
        beside = "-Wl,-rpath,@loader_path/../torch/lib"
        link = ["-bundle", "-undefined", "dynamic_lookup", f"-L{torch / 'lib'}", "-ltorch_cpu", beside]
    else:
        # -lstdc++ first: libc10 exports a few of its symbols, and ours must not bind to those copies.
        link = ["-shared", "-lstdc++", f"-L{torch / 'lib'}", "-Wl,--as-needed", "-ltorch_cpu", "-ldl"]
    if sanitizer:
        names = sanitizer.split(",")
        if not set(names) <= set(SANITIZERS):
            raise BuildFailure(f"SCRATCHNET_SANITIZE={sanitizer}: choose from {', '.join(SANITIZERS)}, separated by commas.")
        common += ["-g1", "-fno-omit-frame-pointer", f"-fsanitize={sanitizer}"]
        common += [flag for name in names for flag in SANITIZERS[name]]
        if {"address", "undefined"} <= set(names):  # wrong pointers are found once: saves a third of compiling
            common.append("-fno-sanitize=null,object-size,vptr,pointer-overflow")
        objects = [(name, source, [*flags, "-O1"]) for name, source, flags in objects]
        link.append(f"-fsanitize={sanitizer}")
    facts = common_facts(version, torch) | {
        "compiler": compiler_version(compiler),
        "flags": shlex.join(["-O3", *KERNEL_FLAGS, *(f for f in common if str(ROOT) not in f)]),
        "isas": " ".join(ISA_FLAGS),
        "sanitizer": sanitizer or "",
        "debug": "1" if debug else "",
    }
    rows = [(name, "compile", source, flags) for name, source, flags in objects]
    return Module("_C", facts, written(facts, "cpu"), {"compile": [*compiler, *common]}, rows, (compiler, link))


def find_nvcc() -> str:
    homes = [Path(os.environ[name], "bin", "nvcc") for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    for command in (*homes, "nvcc", "/usr/local/cuda/bin/nvcc"):
        if shutil.which(command):
            return str(command)
    raise Skipped("The CUDA kernels were skipped: there is no nvcc; install the CUDA toolkit or set CUDA_HOME.")


def present_gpus() -> list[str]:
    """The GPUs here, such as 9.0, as NVIDIA's driver numbers them."""
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    if not shutil.which(command[0]):
        return []
    return sorted(set(re.findall(r"^\d+\.\d$", subprocess.run(command, capture_output=True, text=True).stdout, re.MULTILINE)))


def architectures(nvcc: str) -> list[str]:
    """nvcc's flags for the GPUs of TORCH_CUDA_ARCH_LIST, by default those that are here; All: every generation, and PTX."""
    asked = os.environ.get("TORCH_CUDA_ARCH_LIST", "").strip()
    known = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True).stdout
    usual = [name for name in ("8.0", "9.0", "10.0", "12.0") if f"compute_{name.replace('.', '')}\n" in known]
    names = re.split(r"[;,\s]+", asked) if asked else present_gpus()
    if not names and os.environ.get("SCRATCHNET_CUDA") != "1":
        raise Skipped("The CUDA kernels were skipped: nvidia-smi shows no GPU here (TORCH_CUDA_ARCH_LIST=All: for all).")
    if not names or asked.lower() == "all":
        names = [*usual[:-1], f"{usual[-1]}+PTX"]
    flags = []
    for name in names:
        parts = re.fullmatch(r"(\d+)\.(\d[af]?)(\+PTX)?", name)
        if not parts or int(parts[1]) < 8:
            where = f"TORCH_CUDA_ARCH_LIST={asked}" if asked else "The GPUs here"
            raise BuildFailure(f"{where}: {name} is not a number >= 8.0, such as 8.0;9.0a;10.0+PTX.")
        number = parts[1] + parts[2]
        flags += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
        if parts[3]:
            flags += ["-gencode", f"arch=compute_{number},code=compute_{number}"]
    return flags


def cuda_module(version: str) -> Module:
    """scratchnet._cuda: built for a torch with CUDA where there is an nvcc, or on demand."""
    asked = os.environ.get("SCRATCHNET_CUDA")
    if asked == "0":
        raise Skipped("The CUDA kernels were skipped, as SCRATCHNET_CUDA=0 asked.")
    torch = find_package("torch")
    facts = common_facts(version, torch)
    if asked != "1" and not re.search(r"^cuda\b.*= '", (torch / "version.py").read_text(), re.MULTILINE):
        raise Skipped(f"The CUDA kernels were skipped: torch {facts['torch']} has no CUDA (SCRATCHNET_CUDA=1: build them).")
    nvcc, compiler = find_nvcc(), find_compiler()
    gpus = architectures(nvcc)
    facts |= {"compiler": compiler_version([nvcc]), "architectures": " ".join(re.findall(r"code=(\S+)", " ".join(gpus)))}
    host = ["-ccbin", compiler[0]]
    commands = {
        "compile": [*compiler, *COMMON_FLAGS, "-DUSE_CUDA"],
        "nvcc": [nvcc, *host, *NVCC_FLAGS, *gpus, f"-I{CSRC}"],
    }
    kernels = sum(rungs("cuda").values(), [])
    objects = [(f"{source.relative_to(CSRC).with_suffix('')}.o", "nvcc", source, []) for source in kernels]
    bindings = binding_objects(torch, cuda=True)
    objects += [(name, "compile", source, flags) for name, source, flags in bindings]
    # nvcc links its runtime library in: one module for whichever version torch brings. No kernel calls one of another file, so
    # there is nothing to link for the GPU; nvcc would only write the paths of this machine's libraries into the module.
    link = ["--no-device-link", "-lstdc++", f"-L{torch / 'lib'}", "-Xlinker", "--as-needed", "-ltorch_cpu"]
    return Module("_cuda", facts, written(facts, "cuda"), commands, objects, ([nvcc, *host, "-shared"], link))


def build(module: Module) -> Path:
    """Bring a module up to date, going on where an interrupted build stopped, and return its path."""
    import fcntl  # not on Windows

    find_package("ninja")
    # One folder per toolchain: another compiler or torch never meets objects that it did not make. Pythons share it: only the
    # few objects that speak Python are compiled for each.
    facts = module.facts
    distinct = ("compiler", "torch", "sanitizer", "debug", "architectures")
    toolchain = repr((module.link[0], *(facts.get(name) for name in distinct)))
    folder = ROOT / "build" / f"{module.name.strip('_')}-{hashlib.sha256(toolchain.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)

    for name, text in module.written.items():
        write_if_changed(folder / name, text)
    sources = [folder / name for name in module.written if name.endswith(".cpp")]
    objects = [*module.objects, *((f"{source.stem}.o", "compile", source, []) for source in sources)]

    lines = []
    for rule, command in module.commands.items():
        lines += [
            f"rule {rule}",
            f"  command = {quoted([*command, f'-I{folder}'])} $flags -MMD -MF $out.d -c $in -o $out",
            "  description = $out",
            "  depfile = $out.d",
            "  deps = gcc",
        ]
    lines += ["rule link", f"  command = {quoted(module.link[0])} $in {quoted(module.link[1])} -o $out", "  description = $out"]
    for name, rule, source, flags in objects:
        lines += [f"build {ninja_path(Path(name))}: {rule} {ninja_path(source)}", f"  flags = {quoted(flags)}"]
    target = module.name + SUFFIX
    lines += [f"build {target}: link {' '.join(ninja_path(Path(name)) for name, *_ in objects)}", ""]

    with open(folder / "lock", "w") as lock:  # two installs at a time take turns
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Relative paths: a copy of the clone with its build folder has nothing to compile but what changed. Only whole ones: an
        # environment may be beside the clone, under a name that begins as its own does.
        here = rf"(^|[ =']|-[IL]){re.escape(str(ROOT))}/"
        write_if_changed(folder / "build.ninja", re.sub(here, r"\1../../", "\n".join(lines), flags=re.MULTILINE))
        command = [sys.executable, "-m", "ninja", "-C", str(folder), "-k", "0", "-j", str(job_count()), target]
        announce(module, subprocess.run([*command, "-n"], capture_output=True, text=True).stdout)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = "".join(map(shown, process.stdout))
    if process.wait():
        steps = re.split(r"^(?=\[\d+/\d+\] )", output, flags=re.MULTILINE)
        failed = [step for step in steps if "FAILED: " in step] or steps
        raise BuildFailure(f"Compiling the {WHAT[module.name]} with {facts['compiler']} failed.", "".join(failed))
    return folder / target


def announce(module: Module, plan: str) -> None:
    """Say what is compiled and how to leave it out, if it takes a while: `plan` is what `ninja -n` prints."""
    steps = len(re.findall(r"^\[\d+/\d+\] .*\.o$", plan, re.MULTILINE))
    if steps > 20 and module.name in WHAT:
        switch = {"_C": "SCRATCHNET_BUILD=0", "_cuda": "SCRATCHNET_CUDA=0"}[module.name]
        targets = module.facts.get("architectures") or module.facts.get("isas") or ""
        minutes = f": some {steps * CXX_SECONDS / job_count() / 60:.0f} minutes" if module.name == "_C" else ""
        print(
            f"scratchnet: {steps} steps compile the {WHAT[module.name]} for {targets}, {job_count()} at a time{minutes}."
            f" {switch} leaves them out. Interrupted, the same command goes on.",
            flush=True,
        )


def shown(line: str) -> str:
    """Print a line of ninja's, on a terminal over the one before if it only names a step, and return it."""
    step = sys.stdout.isatty() and re.match(r"\[(\d+)/(\d+)\] ", line)
    print(f"\r\x1b[K{line.rstrip()}" if step else line, end="\n" if step and step[1] == step[2] else "", flush=True)
    return line


class BuildWithNinja(build_ext):
    """Put each module, or the reason why there is none, into the package."""

    def run(self) -> None:
        package = ROOT / "scratchnet" if self.inplace else Path(self.build_lib, "scratchnet")
        package.mkdir(parents=True, exist_ok=True)
        for name, describe in {"_C": cpu_module, "_cuda": cuda_module}.items():
            target, note = package / (name + SUFFIX), package / f"{name}_build_failure.txt"
            # What an earlier build left must not pass for the result of this one.
            note.unlink(missing_ok=True)
            try:
                if os.environ.get("SCRATCHNET_BUILD") == "0":
                    raise Skipped(f"The {WHAT[name]} were skipped, as SCRATCHNET_BUILD=0 asked.")
                if os.name == "nt":
                    raise BuildFailure(f"The {WHAT[name]} cannot be built on Windows: install scratchnet in WSL.")
                module = build(describe(self.distribution.get_version()))
            except BuildFailure as failure:
                target.unlink(missing_ok=True)
                required = os.environ.get({"_C": "SCRATCHNET_REQUIRE_EXT", "_cuda": "SCRATCHNET_CUDA"}[name]) == "1"
                status = "skipped" if isinstance(failure, Skipped) else "failed"
                if required:
                    raise SystemExit(f"scratchnet: {failure.sentence}\n{failure.details}") from failure
                print(f"scratchnet: {failure.sentence} The other columns are installed.\n{failure.details}", file=sys.stderr)
                note.write_text(f"{status}\n{failure.sentence}\n{failure.details}")
            else:
                # A new file under the old name: a process that has the old module in use keeps it.
                shutil.copy(module, f"{target}.new")
                os.replace(f"{target}.new", target)


if __name__ == "__main__":
    setup(
        packages=[
            *find_packages(include=["scratchnet", "scratchnet.*"]),
            *("scratchnet." + name for name in find_packages(include=["kernels", "kernels.*"])),
            "scratchnet.csrc",  # the sources of the kernels, to read
        ],
        package_dir={"scratchnet.kernels": "kernels", "scratchnet.csrc": "csrc"},
        ext_modules=[Extension("scratchnet._C", sources=[])],
        cmdclass={"build_ext": BuildWithNinja},
    )
