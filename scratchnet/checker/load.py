"""A kernel from the reader's file.

my_kernel.py   gets torch tensors if the file imports torch or triton, else NumPy arrays. A torch file without backward is
               differentiated by autograd: `forward = MyFunction.apply` checks a torch.autograd.Function
my_kernel.cpp  gets contiguous arrays and their sizes, and memory for the results; `Contract.prototype` is the signature
"""

from __future__ import annotations

import ast
import ctypes
import importlib.util
import inspect
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Callable

import numpy as np
import torch
from torch import Tensor

from scratchnet.checker.candidate import CANARY, GUARD, Candidate, in_words, inside
from scratchnet.checker.compiler import CompilerError, shared_library
from scratchnet.checker.contract import C_TYPES, DIRECTIONS, Contract, KernelError


def load(path: Path, contract: Contract) -> Candidate:
    """The kernel in a file; KernelError says what the file lacks."""
    if not path.exists():
        raise KernelError(f"there is no file {path}")
    if path.suffix == ".py":
        return _load_python(path, contract)
    if path.suffix in (".cpp", ".cc", ".cxx"):
        return _load_cpp(path, contract)
    raise KernelError(f"{path}: a kernel is a Python file (.py) or a C++ file (.cpp)")


def _missing(path: Path, signatures: list[str], there: list[str]) -> KernelError:
    has = f"it has {', '.join(there)}" if there else "it has no function at all"
    return KernelError("\n".join([f"{path} defines neither forward nor backward; {has}. Expected one or both of", *signatures]))


# ---- Python -------------------------------------------------------------------------------------------------------------


def _load_python(path: Path, contract: Contract) -> Candidate:
    interpreted = False
    try:
        imported = _imports(path)
        if "triton" in imported:  # launch decides whether Triton compiles or interprets, before the file imports it
            from scratchnet.kernels.launch import INTERPRETED as interpreted
        spec = importlib.util.spec_from_file_location(f"checked_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # triton.jit looks its source up there
        spec.loader.exec_module(module)
    except Exception as error:  # whatever keeps the file from running
        raise KernelError(f"{path} does not run: {in_words(error, path)}") from error
    kind = "Triton" if "triton" in imported else "torch" if "torch" in imported else "NumPy"
    device = "cuda" if kind == "Triton" and not interpreted else "cpu"
    return from_module(module, contract, kind, path, device=device, timed=not interpreted)


def _imports(path: Path) -> set[str]:
    """The packages that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names}


def from_module(module: ModuleType, contract: Contract, kind: str, path: Path, **facts) -> Candidate:
    """The kernel whose functions are `module.forward` and `module.backward`."""
    functions = {name: getattr(module, name) for name in DIRECTIONS if callable(getattr(module, name, None))}
    if not functions:
        there = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        raise _missing(path, [contract.python(direction) for direction in DIRECTIONS], there)
    for direction, written in functions.items():
        _check_signature(written, direction, contract, path)
    adapt = _on_arrays if kind == "NumPy" else _on_tensors
    prepare = {direction: adapt(written) for direction, written in functions.items()}
    if kind == "torch" and "backward" not in functions:
        prepare["backward"] = _by_autograd(functions["forward"], contract)
    return Candidate(path.name, contract, kind, prepare, getattr(module, "deterministic", True), **facts)


def _check_signature(written: Callable, direction: str, contract: Contract, path: Path) -> None:
    try:
        signature = inspect.signature(written)
    except ValueError:  # Function.apply has none
        return
    try:
        signature.bind(*contract.names(direction))
    except TypeError as error:
        needed = contract.python(direction)
        raise KernelError(f"{path}: {direction}{signature} cannot be called: {error}. Expected {needed}") from None


def _on_arrays(written: Callable) -> Callable:
    def prepare(*args):
        arrays = [a.detach().numpy() if isinstance(a, Tensor) else a for a in args]
        return lambda: tuple(map(_tensor, _several(written(*arrays))))

    return prepare


def _on_tensors(written: Callable) -> Callable:
    def prepare(*args):
        tensors = [a.detach() if isinstance(a, Tensor) else a for a in args]
        return lambda: _several(written(*tensors))

    return prepare


def _by_autograd(forward: Callable, contract: Contract) -> Callable:
    count = len(contract.incoming["backward"])

    def prepare(*args):
        grads, leaves = args[:count], [a.detach() if isinstance(a, Tensor) else a for a in args[count:]]
        learned = [leaves[place].requires_grad_() for place in contract.learned]
        with torch.enable_grad():
            outputs = _several(forward(*leaves))
        if not all(isinstance(y, Tensor) and y.requires_grad for y in outputs):
            raise KernelError("autograd finds no path from forward's result to its inputs: write a function backward too")
        return lambda: torch.autograd.grad(outputs, learned, grads, retain_graph=True)

    return prepare


def _several(results: object) -> tuple:
    return tuple(results) if isinstance(results, (tuple, list)) else (results,)


def _tensor(value: object) -> Tensor | None:
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype == object:
        raise KernelError(f"it returned {type(value).__name__}, not an array")
    plain = array.flags.writeable and min(array.strides, default=0) >= 0  # torch.from_numpy takes no others
    return torch.from_numpy(array if plain else array.copy())


# ---- C++ ----------------------------------------------------------------------------------------------------------------


def _load_cpp(path: Path, contract: Contract) -> Candidate:
    prototypes = [contract.prototype(direction) for direction in DIRECTIONS]
    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        header = Path(folder, "prototypes.h")  # makes the reader's functions extern "C", and only those that fit
        header.write_text("#include <cstdint>\n" + "".join(f'extern "C" {line};\n' for line in prototypes))
        try:
            library = ctypes.CDLL(str(shared_library(path, Path(folder, "kernel.so"), ["-include", str(header)])))
        except CompilerError as error:
            raise KernelError(f"{path}: {error}\nIts functions must be\n" + "\n".join(prototypes)) from error
    written = [direction for direction in DIRECTIONS if hasattr(library, direction)]
    if not written:
        there = sorted(set(re.findall(r"^\w[\w*<> ]* \**(\w+) *\(", text, re.MULTILINE)))
        raise _missing(path, prototypes, [f"{name} (with other arguments)" if name in DIRECTIONS else name for name in there])
    prepare = {direction: _on_pointers(getattr(library, direction), direction, contract) for direction in written}
    return Candidate(path.name, contract, "C++", prepare, not re.search(r"\bdeterministic\s*=\s*false", text))


def _on_pointers(written: Callable, direction: str, contract: Contract) -> Callable:
    written.restype = None

    def prepare(*args):
        inputs = [a.detach().contiguous() if isinstance(a, Tensor) else a for a in args]
        shapes = contract.shapes(direction, *args)
        sizes = [ctypes.c_int64(size) for size in contract.sizes(*args[len(contract.incoming[direction]) :]).values()]

        def call():
            memory = [torch.empty(shape.numel() + 2 * GUARD) for shape in shapes]
            guards = [m.as_strided((2, GUARD), (m.numel() - GUARD, 1)).fill_(CANARY) for m in memory]
            results = [inside(m, shape) for m, shape in zip(memory, shapes, strict=True)]
            written(*[_pass(value) for value in (*inputs, *results) if not isinstance(value, tuple)], *sizes)
            for name, ends in zip(contract.results[direction], guards, strict=True):
                for end, place in zip(ends, ("before the beginning", "past the end"), strict=True):
                    if not (end == CANARY).all():
                        raise KernelError(f"it writes {place} of {name}: a loop goes too far")
            return tuple(results)

        return call

    return prepare


def _pass(value: Tensor | int | float) -> object:
    return ctypes.c_void_p(value.data_ptr()) if isinstance(value, Tensor) else C_TYPES[type(value)][0](value)
