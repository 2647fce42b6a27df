"""A separate process: `judge.py <library> <primitive> <seed> <step>` runs a primitive's CUDA kernels on CPU tensors, emulated
and under AddressSanitizer, and compares them with the float64 oracle, at every size and case or at every `step`-th.
`judge.py cuda ...` and `judge.py triton ...` do the same on a GPU, and compute-sanitizer can look on. It prints what went wrong
and exits with 1 if anything did."""

from __future__ import annotations

import ctypes
import sys
from typing import Callable

import numpy as np
import torch
from column_cases import STATISTICS
from grid.test_grid import DTYPES
from test_columns_agree import assert_close, to_numpy
from test_numpy_arrays import ARRAY_CASES, ArrayCase

from scratchnet import backends
from scratchnet.columns import NAMESPACES, numbered
from scratchnet.functions import dispatch, library
from scratchnet.measure.verify import SIZES, compare, sliced, transposed
from scratchnet.ops import OPS

NAMESPACE = "scratchnet_emulated"


def install(path: str) -> None:
    """Put the emulated kernels in place of the "cuda" column."""
    torch.ops.load_library(path)
    NAMESPACES["cuda"] = NAMESPACE
    backends.missing = lambda column: None
    for ours in dispatch.OPERATORS.values():
        rungs = numbered(ours.op, "cuda")
        if rungs:
            library.register(ours, NAMESPACE)
        for name, rung in rungs.items():
            ours.cells[name] = dispatch.Kernel(ours.op, "cuda", rung)
            ours.cells[name].devices = ("cpu",)


def offset(t: torch.Tensor) -> torch.Tensor:
    """Contiguous, but starting where a vector load may not."""
    return torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape)


# Sizes that reach what the grid's sizes do not: (rungs, operator, example, rows, columns) of a primitive.
SECOND, FROM_SECOND, LAST = slice(1, 2), slice(1, None), slice(-1, None)
MORE = {
    "cross_entropy": (
        (FROM_SECOND, "cross_entropy", "weight+smoothing", 2, 2104),  # a row that is longer than a block
        (LAST, "softmax", "last dim", 2, 2104),
        (LAST, "linear_cross_entropy", "bias, none", 300, 2),  # more rows than a chunk has
    ),
    "gather": ((LAST, "embedding", "plain", 3000, 3),),  # several rows per thread
    "layer_norm": (
        (SECOND, "rms_norm", "plain", 2050, 3),  # several rows per block: the sums of LayerNorm would take longer
        (LAST, "layer_norm", "affine", 4100, 3),  # several rows per warp
        (LAST, "layer_norm", "affine", 513, 1032),  # several rows per block
        (LAST, "rms_norm", "weight", 2, 4104),  # more than a block's registers hold
        (LAST, "layer_norm", "2-D shape", 2, 4104),  # more than shared memory can sum
    ),
}
LAYOUTS = (lambda t: t, offset, transposed, sliced)
# Products take longer, and need what the grid's sizes rarely have: lines that fit 128-bit copies, in each layout; split sums.
PRODUCTS = (*SIZES[:-1], (2, 600), *[(136, 72)] * len(LAYOUTS))
SIZES_OF = {"matmul": PRODUCTS, "linear": PRODUCTS, "linear_cross_entropy": SIZES[:5], "embedding_bag": SIZES[1::2]}
# Attention's first rung makes every score anew for each number of a result: long at 33x127, and it has no blocks to fill.
FIRST = {"attention": [(rows, columns) for rows, columns in SIZES if rows * columns < 1000]}


def grid(column: str, primitive: str, step: int) -> list[str]:
    """Every option, dtype and rung at the grid's sizes, with the layouts in turn. The first rung and the last take each size in
    every dtype, those between in one, which another example changes."""
    wrong = []
    cells = [(op, example) for op in OPS.values() if op.primitive == primitive and op.rungs(column) for example in op.examples]
    for number, (op, example) in enumerate(cells):
        for shift, dtype in enumerate(DTYPES):
            for rung in range(1, (last := len(op.rungs(column))) + 1):
                of_rung = FIRST if rung == 1 and op.name in FIRST else SIZES_OF
                sizes = [*enumerate(of_rung.get(op.name, SIZES))]
                begin, every = (shift + number, max(step, len(DTYPES))) if 1 < rung < last else (shift, step)
                for turn, (rows, columns) in sizes[begin % every :: every]:
                    layout = LAYOUTS[(turn + shift + rung) % len(LAYOUTS)]
                    result = compare(op, example, rows, columns, dtype, f"{column}:{rung}", layout, seed=turn)
                    wrong += [] if result.ok else [str(result)]
    for of, name, example, rows, columns in MORE.get(primitive, ()) if step == 1 else ():
        for rung in range(1, len(OPS[name].rungs(column)) + 1)[of]:
            result = compare(OPS[name], example, rows, columns, torch.float32, f"{column}:{rung}")
            wrong += [] if result.ok else [str(result)]
    return wrong


def tf32(emulation: ctypes.CDLL) -> list[str]:
    """float32 products on the matrix units: exact for numbers that TF32 can hold, and inexact for others."""
    asked = emulation.sn_emulation_tf32
    rounded = lambda t: (t.view(torch.int32) & ~0x1FFF).view(torch.float32)
    run = lambda layout: [
        compare(OPS[name], example, rows, columns, torch.float32, "cuda", layout)
        for name, example in (("matmul", "2-D"), ("matmul", "batched"), ("linear", "bias"))
        for rows, columns in ((136, 72), (33, 127), (2, 600))
    ]
    asked(ctypes.c_bool(True))
    wrong = [str(result) for result in run(rounded) if not result.ok]
    wrong += [f"{result.op} {result.call} is exact: not by TF32" for result in run(transposed) if result.ok]
    asked(ctypes.c_bool(False))
    return wrong


class RungCase(ArrayCase):
    """A case of tests/columns with the kernels that are judged as the columns "cuda:1", ...."""

    device = "cpu"  # of the kernels

    def kernel(self, column: str, way: str) -> Callable:
        name, _, rung = column.partition(":")
        if name == "numpy":
            return super().kernel(column, way)
        raw = getattr(getattr(torch.ops, NAMESPACES[name]), f"{self.op}_{way}")
        place = lambda a: torch.from_numpy(a.copy("K")).to(self.device) if isinstance(a, np.ndarray) else a

        def call(*args):
            results = raw(*map(place, OPS[self.op].flat(way, args)), int(rung))
            return results.cpu().numpy() if isinstance(results, torch.Tensor) else tuple(t.cpu().numpy() for t in results)

        return call


def cases(column: str, primitive: str, step: int) -> list[str]:
    """Infinities, NaN, empty tensors and everything else that has a case in tests/columns."""
    wrong = []
    ours = [case for case in ARRAY_CASES if (op := OPS[case.op]).primitive == primitive and op.rungs(column)]
    for case in (RungCase(**vars(case)) for case in ours[::step]):
        args = to_numpy(case.args)
        expected = case.run("numpy", args)
        for rung in range(1, len(OPS[case.op].rungs(column)) + 1):
            actual = case.run(f"{column}:{rung}", args)
            for name, value in expected.items():
                if np.size(value) and (case.smooth or name not in STATISTICS):
                    try:
                        assert_close(actual[name], torch.from_numpy(np.asarray(value)), name)
                    except AssertionError as error:
                        wrong.append(f"{case.id} on {column}:{rung}: {error}")
    return wrong


def refusals(primitive: str) -> list[str]:
    """An index out of range stops the kernel, forward and backward, before anything is read or written there."""
    heads = torch.ones(1, 2, 3, 2), torch.ones(1, 1, 3, 2)
    one, targets = torch.ones(()), lambda bad: (torch.ones(1, 5, 2), torch.tensor([[4, bad]]), None)
    bags = lambda index, offsets: (torch.ones(5, 3), torch.tensor(index), torch.tensor(offsets), None)
    no_entry = torch.zeros(0, dtype=torch.int64)
    calls = {
        "cross_entropy_forward": lambda bad: (*targets(bad), 1, -100, 0.0),
        "cross_entropy_backward": lambda bad: (one, *targets(bad), torch.ones(1, 2).double(), one, 1, -100, 0.0),
        "gather_forward": lambda bad: (torch.ones(4, 5), torch.full((4, 5), bad), 1),
        "gather_backward": lambda bad: (torch.ones(4, 5), [4, 5], torch.full((4, 5), bad), 1),
        "embedding_forward": lambda bad: (torch.ones(5, 3), torch.full((4,), bad), -1, False),
        "embedding_backward": lambda bad: (torch.ones(4, 3), torch.full((4,), bad), 5, -1, False),
        "scatter_add_forward": lambda bad: (torch.ones(5, 3), torch.ones(4, 3), torch.full((4, 3), bad), 0),
        "embedding_bag_forward": lambda bad: (*bags([1, bad, 2], [0, 3]), 0, -1),
        "embedding_bag_backward": lambda bad: (torch.ones(2, 3), *bags([1, 2], [0, bad, 2]), no_entry, 0, -1, True, True),
        "index_add_forward": lambda bad: (torch.ones(5, 3), torch.ones(4, 3), torch.full((4,), bad)),
        "rope_forward": lambda bad: (*heads, *[torch.ones(5, 2)] * 2, torch.full((1, 3), bad), 1, False),
        "rope_backward": lambda bad: (*heads, *[torch.ones(5, 2)] * 2, torch.full((1, 3), bad), 1, False, True, True),
    }
    wrong = []
    for name, arguments in calls.items():
        if OPS[op := name.rpartition("_")[0]].primitive != primitive:
            continue
        for bad in (-1, 5):
            for rung in range(1, len(OPS[op].rungs("cuda")) + 1):
                try:
                    getattr(getattr(torch.ops, NAMESPACE), name)(*arguments(bad), rung)
                    wrong.append(f"{name} on cuda:{rung} accepts index {bad} of 5")
                except (RuntimeError, IndexError):
                    pass
    return wrong


def emulated(path: str, primitive: str, seed: int, step: int) -> list[str]:
    """What goes wrong in the emulation; the number of launches is printed."""
    install(path)
    emulation = ctypes.CDLL(path)
    emulation.sn_emulation_seed(ctypes.c_uint64(seed))
    judged = lambda: grid("cuda", primitive, step) + cases("cuda", primitive, step) + refusals(primitive)
    wrong = judged()
    if primitive == "matmul" and step == 1:
        wrong += tf32(emulation)
    if primitive == "gather":  # its sums then differ
        emulation.sn_emulation_determinism(ctypes.c_bool(True))
        wrong += judged()
    launches = emulation.sn_emulation_launches()
    print(f"{launches} launches")
    return wrong if launches else [*wrong, "nothing was launched"]


def on_gpu(column: str, primitive: str, step: int) -> list[str]:
    """What goes wrong on a GPU. An index out of range stops it for the whole process: a test of its own looks at that."""
    RungCase.device, wrong = "cuda", []
    for deterministic in (False, True)[: 1 + (primitive == "gather")]:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)  # of torch's own some have no such form
        with torch.device("cuda"):
            wrong += grid(column, primitive, step)
        wrong += cases(column, primitive, step)
    return wrong


if __name__ == "__main__":
    where, primitive, seed, step = sys.argv[1:]
    on_hardware = where in ("cuda", "triton")
    found = on_gpu(where, primitive, int(step)) if on_hardware else emulated(where, primitive, int(seed), int(step))
    print(*found, f"{primitive}: {len(found)} wrong", sep="\n")
    raise SystemExit(bool(found) or not OPS[primitive].rungs(where if on_hardware else "cuda"))
