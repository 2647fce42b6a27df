"""A kernel from the reader's file.

my_kernel.py   gets torch tensors if the file imports torch or triton, else NumPy arrays. A torch file without backward is
               differentiated by autograd: `forward = MyFunction.apply` checks a torch.autograd.Function
my_kernel.cpp  gets contiguous arrays and their sizes, and memory for the results; `Contract.prototype` is the signature
"""

from __future__ import annotations

import ast
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch

from scratchnet.checker import borrowed
from scratchnet.checker.candidate import PATIENCE, Candidate
from scratchnet.checker.child import Child
from scratchnet.checker.compiler import CompilerError, included, listing, shared_library
from scratchnet.checker.contract import DIRECTIONS, Contract, KernelError

MODULES = {"NumPy": (), "torch": ("torch",), "Triton": ("torch", "triton", "triton.language"), "C++": ()}


def load(path: Path, contract: Contract, kind: str | None = None) -> Candidate:
    """The kernel in a file; KernelError says what the file lacks. kind: of Python, else what the file imports tells it."""
    if not path.exists():
        raise KernelError(f"there is no file {path}")
    if path.suffix == ".py":
        return _load_python(path, contract, kind)
    if path.suffix in (".cpp", ".cc", ".cxx"):
        return _load_cpp(path, contract)
    raise KernelError(f"{path}: a kernel is a Python file (.py) or a C++ file (.cpp)")


def _load_python(path: Path, contract: Contract, kind: str | None) -> Candidate:
    try:
        imported = _imports(path)
    except SyntaxError as error:
        raise KernelError(f"{path} does not run: SyntaxError: {error.msg} (line {error.lineno})") from None
    kind = kind or ("Triton" if "triton" in imported else "torch" if "torch" in imported else "NumPy")
    interpreted = False
    if kind == "Triton" and not find_spec("triton"):
        raise KernelError(f"{path} does not run: there is no Triton here (pip install triton)")
    if kind == "Triton":  # launch decides whether Triton compiles or interprets
        from scratchnet.kernels.launch import INTERPRETED as interpreted
    device = "cuda" if kind == "Triton" and not interpreted else "cpu"
    kernel = _started(path, path, contract, kind, device=device, timed=not interpreted)
    for direction, takes in kernel.functions.items():
        if refused := takes.get("refuses"):
            raise KernelError(f"{path}: {direction}{refused}. Expected {contract.python(direction)}")
    return kernel


def _imports(path: Path) -> set[str]:
    """The packages that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names}


def _load_cpp(path: Path, contract: Contract) -> Candidate:
    prototypes = [contract.prototype(direction) for direction in DIRECTIONS]
    text = path.read_text(encoding="utf-8")
    folder = tempfile.TemporaryDirectory()
    header = Path(folder.name, "prototypes.h")  # makes the reader's functions extern "C", and only those that fit
    header.write_text("#include <cstdint>\n" + "".join(f'extern "C" {line};\n' for line in prototypes))
    read = Path(folder.name, "read")
    try:
        library = shared_library(path, Path(folder.name, "kernel.so"), ["-include", str(header), *listing(read)])
    except CompilerError as error:
        raise KernelError(f"{path}: {error}\nIts functions must be\n" + "\n".join(prototypes)) from error
    there = sorted(set(re.findall(r"^\w[\w*<> ]* \**(\w+) *\(", text, re.MULTILINE)))
    there = [f"{name} (with other arguments)" if name in DIRECTIONS else name for name in there]
    deterministic = not re.search(r"\bdeterministic\s*=\s*false", text)
    return _started(path, library, contract, "C++", there, folder, deterministic=deterministic, included=included(read))


def _started(
    path: Path, code: Path, contract: Contract, kind: str, there: list | None = None, folder=None, **facts
) -> Candidate:
    """The kernel in its first child; KernelError if it does not load or has neither direction. `folder` lives as long as it."""
    names = {direction: contract.names(direction) for direction in DIRECTIONS}
    variables = (("TRITON_INTERPRET", "1" if facts.get("timed") is False else "0"),) if kind == "Triton" else ()

    def start() -> tuple[Child, dict]:
        child = Child(MODULES[kind], variables)
        try:
            request = {"path": str(code.resolve()), "kind": kind, "names": names, "device": facts.get("device", "cpu")}
            request["torchs"] = borrowed.operators_of(contract)
            loaded = child.ask("load", PATIENCE, threads=torch.get_num_threads(), **request)
        except KernelError as error:
            raise KernelError(f"{path} does not run: {str(error).removeprefix('it raised ')}") from None
        if not loaded["functions"]:
            raise _missing(path, contract, kind, loaded["there"] if there is None else there)
        child.folder = folder
        return child, loaded

    return Candidate(path.name, contract, kind, start, **facts)


def _missing(path: Path, contract: Contract, kind: str, there: list[str]) -> KernelError:
    has = f"it has {', '.join(there)}" if there else "it has no function at all"
    signature = contract.prototype if kind == "C++" else contract.python
    expected = "\n".join(map(signature, DIRECTIONS))
    return KernelError(f"{path} defines neither forward nor backward; {has}. Expected one or both of\n{expected}")
