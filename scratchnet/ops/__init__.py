"""The grid as data: every operator of the primitives, its signature, its cost, its rungs and example calls.

Everything that needs a list of kernels reads it from here: operator registration and dispatch, `scratchnet info | verify |
bench`, the tests, the benchmarks and the tables in the docs. Each file of this folder that defines an `Op` is part of the grid,
and an operator's file has the same name in every room.
"""

import pkgutil
from importlib import import_module

from scratchnet.ops.op import (
    ACTIVATIONS,
    BACKENDS,
    EPILOGUES,
    GATES,
    RECURRENCES,
    REDUCTIONS,
    Backend,
    Cost,
    DimOptions,
    Example,
    Op,
)

__all__ = [
    "ACTIVATIONS",
    "BACKENDS",
    "Backend",
    "Cost",
    "DimOptions",
    "EPILOGUES",
    "Example",
    "FILES",
    "GATES",
    "OPS",
    "Op",
    "PRIMITIVES",
    "RECURRENCES",
    "REDUCTIONS",
]


def _found() -> list[tuple[str, Op]]:
    """(file, operator). The order of every listing: primitives by name, a primitive's own file before others of its family."""
    files = [module.name for module in pkgutil.iter_modules(__path__)]
    found = [(file, op) for file in files for op in vars(import_module(f"{__name__}.{file}")).values() if isinstance(op, Op)]
    return sorted(found, key=lambda pair: (pair[1].primitive, pair[0] != pair[1].primitive, pair[0]))


FILES: dict[str, str] = {}  # operator -> the name of its file in every room
OPS: dict[str, Op] = {}
for _file, _op in _found():
    OPS[_op.name], FILES[_op.name] = _op, _file
PRIMITIVES = tuple(dict.fromkeys(op.primitive for op in OPS.values()))
