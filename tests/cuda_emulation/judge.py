"""A process of its own, under AddressSanitizer: `judge.py <library> <primitive> <seed>` runs the CUDA kernels of a primitive on
CPU tensors and holds them against the float64 oracle. It prints what went wrong and exits with 1 if anything did."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Callable

import numpy as np
import torch
from column_cases import STATISTICS
from grid.test_grid import DTYPES, SIZES, sliced, transposed
from test_columns_agree import assert_close, to_numpy
from test_numpy_arrays import ARRAY_CASES, ArrayCase

from scratchnet import backends
from scratchnet.functions import operator
from scratchnet.registry import BACKENDS, OPS
from scratchnet.verify import compare

NAMESPACE = "scratchnet_emulated"


def install(library: str) -> None:
    """Puts the emulated kernels in the place of the "cuda" column."""
    torch.ops.load_library(library)
    backends.NAMESPACES["cuda"] = NAMESPACE
    backends.missing = lambda column: None
    for ours in operator.OPERATORS.values():
        rungs = len(ours.op.rungs("cuda"))
        if rungs:
            operator._register(ours, NAMESPACE)
        for rung in range(1, rungs + 1):
            cell = ours.cells[f"cuda:{rung}"] = operator.Kernel(ours.op, "cuda", rung)
            cell.devices = ("cpu",)


def offset(t: torch.Tensor) -> torch.Tensor:
    """In order, but not where a vector load may begin."""
    return torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape)


LAYOUTS = (lambda t: t, offset, transposed, sliced)
# Sizes of operators whose kernels have branches that the grid's do not reach, or that take long: lines that 16-byte copies fit,
# in every layout; sums that are split; rows that are longer than a block; more rows than a chunk has.
PRODUCTS = (*SIZES[:-1], (2, 600), *[(136, 72)] * len(LAYOUTS))
ROWS = (*SIZES, (2, 2104))
SIZES_OF = {
    "matmul": PRODUCTS,
    "linear": PRODUCTS,
    **dict.fromkeys(("cross_entropy", "softmax", "log_softmax", "logsumexp"), ROWS),
    "linear_cross_entropy": (*SIZES[:5], (129, 2), (300, 2)),
}


def grid(primitive: str) -> list[str]:
    """Every option, dtype and rung at the grid's sizes, which take turns with the layouts."""
    wrong = []
    cells = [(op, example) for op in OPS.values() if op.primitive == primitive and op.rungs("cuda") for example in op.examples]
    for op, example in cells:
        for shift, dtype in enumerate(DTYPES):
            for rung in range(1, len(op.rungs("cuda")) + 1):
                for turn, (rows, columns) in enumerate(SIZES_OF.get(op.name, SIZES)):
                    layout = LAYOUTS[(turn + shift + rung) % len(LAYOUTS)]
                    result = compare(op, example, rows, columns, dtype, f"cuda:{rung}", layout, seed=turn)
                    wrong += [] if result.ok else [str(result)]
    return wrong


def tf32(primitive: str, emulation: ctypes.CDLL) -> list[str]:
    """Products of float32 by the matrix units: of numbers that TF32 has too they are as exact as any, of others they are not."""
    if primitive != "matmul":
        return []
    asked = emulation.sn_emulation_tf32
    rounded = lambda t: (t.view(torch.int32) & ~0x1FFF).view(torch.float32)
    run = lambda layout: [
        compare(OPS[name], example, rows, columns, torch.float32, "cuda:2", layout)
        for name, example in (("matmul", "2-D"), ("matmul", "batched"), ("linear", "bias"))
        for rows, columns in ((136, 72), (33, 127), (2, 600))
    ]
    asked(ctypes.c_bool(True))
    wrong = [str(result) for result in run(rounded) if not result.ok]
    wrong += [f"{result.op} {result.call} is exact: not by TF32" for result in run(transposed) if result.ok]
    asked(ctypes.c_bool(False))
    return wrong


def classes(primitive: str) -> list[str]:
    """A class that does not exist stops the kernel before it reads there."""
    if primitive != "cross_entropy":
        return []
    x, wrong = torch.zeros(2, 3, 1), []
    for rung in (1, 2):
        for target in (3, -1):
            try:
                getattr(torch.ops, NAMESPACE).cross_entropy_forward(x, torch.tensor([[0], [target]]), None, 1, -100, 0.0, rung)
                wrong.append(f"cross_entropy cuda:{rung} takes class {target} of 3")
            except RuntimeError as error:
                wrong += [] if "device-side assertion" in str(error) else [str(error)]
    return wrong


class EmulatedCase(ArrayCase):
    """A case of tests/columns with the emulated kernels as columns "cuda:1", ..."""

    def kernel(self, column: str, way: str) -> Callable:
        if not column.startswith("cuda"):
            return super().kernel(column, way)
        like = super().kernel("numpy", way)
        emulated, rung = getattr(getattr(torch.ops, NAMESPACE), f"{self.op}_{way}"), int(column[-1])

        @functools.wraps(like)
        def call(*args):
            results = emulated(*(torch.from_numpy(a.copy("K")) if isinstance(a, np.ndarray) else a for a in args), rung)
            return results.numpy() if isinstance(results, torch.Tensor) else tuple(t.numpy() for t in results)

        return call


def cases(primitive: str) -> list[str]:
    """Infinities, NaN, empty tensors and whatever else has a case in tests/columns."""
    wrong = []
    for case in (EmulatedCase(**vars(case)) for case in ARRAY_CASES):
        op = OPS[case.op]
        if op.primitive != primitive or not op.rungs("cuda"):
            continue
        args = to_numpy(case.args)
        expected = case.run("numpy", args)
        for rung in range(1, len(op.rungs("cuda")) + 1):
            actual = case.run(f"cuda:{rung}", args)
            for name, value in expected.items():
                if np.size(value) and (case.smooth or name not in STATISTICS):
                    try:
                        assert_close(actual[name], torch.from_numpy(np.asarray(value)), name)
                    except AssertionError as error:
                        wrong.append(f"{case.id} on cuda:{rung}: {error}")
    return wrong


if __name__ == "__main__":
    library, primitive, seed = sys.argv[1:]
    install(library)
    emulation = ctypes.CDLL(library)
    emulation.sn_emulation_seed(ctypes.c_uint64(int(seed)))
    wrong = grid(primitive) + tf32(primitive, emulation) + classes(primitive) + cases(primitive)
    print(*wrong, f"{emulation.sn_emulation_launches()} launches, {len(wrong)} wrong", sep="\n")
    raise SystemExit(bool(wrong) or not BACKENDS["cuda"].rungs[primitive] or not emulation.sn_emulation_launches())
