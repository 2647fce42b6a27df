"""How networks switch backends: a table of kernels for NumPy arrays, from the numpy column or the compiled one.

`kernel_table("cpp").linear_forward(x, weight, bias, options)` takes the arguments of the numpy column's `linear_forward`:
code written with a table runs on either, with the same numbers up to rounding.
"""

from __future__ import annotations

from types import SimpleNamespace

from scratchnet import columns
from scratchnet.backends import missing, parse
from scratchnet.ops import OPS


def kernel_table(backend: str = "numpy") -> SimpleNamespace:
    """`<op>_forward` and `<op>_backward` of every operator that "numpy", "cpp" or a rung such as "cpp:1" has for NumPy arrays.

    Raises ValueError for another backend and RuntimeError if the compiled module is missing.
    """
    column, rung = parse(backend)
    if column not in ("numpy", "cpp"):
        raise ValueError(f"the NumPy networks run on 'numpy' or 'cpp', not on {backend!r}")
    if reason := missing(column):
        raise RuntimeError(reason)
    table = SimpleNamespace()
    for op in OPS.values():
        for direction in ("forward", "backward"):
            if kernel := columns.for_arrays(op, column, direction, rung):
                setattr(table, f"{op.name}_{direction}", kernel)
    return table


NUMPY = kernel_table("numpy")
