"""The switch of the networks: a table of kernels for NumPy arrays, from the numpy column or the compiled one.

`kernel_table("cpp").linear_forward(x, weight, bias, activation)` takes the arguments of the numpy column's `linear_forward`:
what is written with a table runs on either, with the same numbers to rounding.
"""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Callable

from scratchnet import _compiled
from scratchnet.backends import missing, parse
from scratchnet.registry import OPS


def _on_rung(kernel: Callable, rung: int) -> Callable:
    return lambda *args: kernel(*args, rung)


def kernel_table(backend: str = "numpy") -> SimpleNamespace:
    """`<op>_forward` and `<op>_backward` of every operator that "numpy", "cpp" or a rung such as "cpp:1" has for NumPy arrays.

    Raises ValueError for another backend and RuntimeError if the compiled module is missing. Concept 87: custom operations.
    """
    column, rung = parse(backend)
    if column not in ("numpy", "cpp"):
        raise ValueError(f"the NumPy networks run on 'numpy' or 'cpp', not on {backend!r}")
    if reason := missing(column):
        raise RuntimeError(reason)
    table = SimpleNamespace()
    for op in OPS.values():
        last = len(op.rungs(column))
        source = _compiled.module if column == "cpp" else import_module(f"scratchnet.numpy.{op.room}")
        for name in (f"{op.name}_forward", f"{op.name}_backward"):
            if kernel := getattr(source, name, None):  # linear_cross_entropy is compiled for tensors alone
                setattr(table, name, _on_rung(kernel, min(rung or last, last)) if column == "cpp" else kernel)
    return table


NUMPY = kernel_table("numpy")
