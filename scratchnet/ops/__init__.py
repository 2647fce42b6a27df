"""The grid as data: every operator of the five primitives, its signature, its cost, its rungs and example calls.

Everything that needs a list of kernels reads it from here: operator registration and dispatch, `scratchnet info | verify |
bench`, the tests, the benchmarks and the tables in the docs. An operator's file here has the name of its file in every room.
"""

from importlib import import_module

from scratchnet.ops.op import ACTIVATIONS, BACKENDS, GATES, RECURRENCES, REDUCTIONS, Backend, Cost, DimOptions, Example, Op

__all__ = [
    "ACTIVATIONS", "BACKENDS", "Backend", "Cost", "DimOptions", "Example", "FILES", "GATES", "OPS", "Op", "PRIMITIVES",
    "RECURRENCES", "REDUCTIONS",
]  # fmt: skip

FILES: dict[str, str] = {}  # operator -> the name of its file in every room
OPS: dict[str, Op] = {}
for _file in (
    "matmul",
    "conv2d",
    "recurrence",
    "cross_entropy",
    "layer_norm",
    "batch_norm",
    "gelu",
    "gather",
    "pool2d",
):
    for _op in vars(import_module(f"{__name__}.{_file}")).values():
        if isinstance(_op, Op):
            OPS[_op.name], FILES[_op.name] = _op, _file
PRIMITIVES = tuple(dict.fromkeys(op.primitive for op in OPS.values()))
