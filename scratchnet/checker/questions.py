"""What a kernel is asked: sizes, options, strides, values, dtypes, calls that must raise."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Callable, Iterator

import torch
from torch import Tensor

from scratchnet.checker import sixteen
from scratchnet.checker.candidate import Candidate, backwards, stored
from scratchnet.measure import verify
from scratchnet.measure.verify import Call, Rule
from scratchnet.ops import Op

RULE = Rule(times_torch=4, ulps=16, by_row=True)
# Whole blocks and one off, in rows and in columns; more rows and more columns than any usual block has.
BLOCKS = ((32, 32), (64, 65), (65, 64), (128, 127), (127, 128), (256, 33), (257, 5), (513, 64), (5, 256), (3, 1024), (2, 1025))
LARGE = (1000, 300)
DRAWN = 10  # sizes that depend on the seed
MOST = 300  # rows and columns of those but of the last, which has more of both
SOME = ((3, 2), (17, 31), (33, 127))
FEW = ((3, 33), (17, 129))
INTERPRETED = 3100  # elements, beyond which Triton's interpreter takes seconds
INDICES = ("index", "target", "input")  # arguments that hold indices, where they hold integers


def _wide(t: Tensor) -> Tensor:
    """The first columns of a wider matrix."""
    if t.dim() == 0:
        return t
    wide = t.new_full((*t.shape[:-1], t.shape[-1] + 3), 7)
    wide[..., : t.shape[-1]] = t
    return wide[..., : t.shape[-1]]


def _every_second(t: Tensor) -> Tensor:
    """Every second row of a longer matrix."""
    return torch.stack([t, t + 1 if t.dtype != torch.bool else t], 1).flatten(0, 1)[::2] if t.dim() else t


def _column(t: Tensor) -> Tensor:
    """One column of an array with one axis more."""
    return torch.stack([t, t, t], -1)[..., 1]


# name -> where a tensor's numbers lie in memory
LAYOUTS: dict[str, Callable] = {
    "transposed": verify.transposed,
    "sliced": verify.sliced,
    "expanded": verify.expanded,  # the only one with other numbers
    "wide[:, :k]": _wide,
    "x[::2]": _every_second,
    "column of a 3-D array": _column,
}
BACKWARDS = "negative strides"


def _first_row(value: float) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.cat([torch.full_like(x[:1], value), x[1:]])


def _one(value: float, place: int = 0) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.where(torch.arange(x.numel()).view(x.shape) == place % x.numel(), value, x)


SCALES = (1e-40, 1e-20, 1e-10, 1e-3, 10, 100, 1000, 1e6, 1e12, 1e18)
VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "numbers of +-1e4": lambda x: x.sign() * 1e4,
    "equal numbers": lambda x: x[:, :1].expand_as(x),
    "numbers around 1e4": lambda x: x + 1e4,
    **{f"numbers of the size of {scale:g}": lambda x, scale=scale: x * scale for scale in SCALES},
    "a row of -infinity": _first_row(-torch.inf),
    "a row of +infinity": _first_row(torch.inf),
    "a row of NaN": lambda x: torch.cat([x[:1], x[1:2] * torch.nan, x[2:]]),
    "one -infinity": _one(-torch.inf),
    "one NaN": _one(torch.nan),
    "one NaN at the end": _one(torch.nan, -1),
    "a row of 0": _first_row(0.0),
    "a row of -0": _first_row(-0.0),
}
LARGEST = "the largest number"
VALUES[LARGEST] = _one(torch.finfo(torch.float32).max)


@dataclass(frozen=True)
class Question:
    """One call of an operator, as it is drawn and placed."""

    part: str
    example: str
    rows: int
    columns: int
    layout: str = ""
    values: str = ""
    seed: int = 0
    dtype: torch.dtype = torch.float32

    @property
    def where(self) -> str:
        """In words: "17x31, sliced"."""
        more = {"options": self.example, "dtypes": f"{str(self.dtype).removeprefix('torch.')}, {self.example}"}.get(self.part)
        return ", ".join(filter(None, (f"{self.rows}x{self.columns}", more, self.layout, self.values)))

    def call(self, op: Op) -> Call:
        """Its numbers."""
        layout = self.layout if self.layout == "expanded" else ""
        return _drawn(op, self.example, self.rows, self.columns, layout, self.values, self.seed, self.dtype)

    @property
    def place(self) -> Callable | None:
        """How its tensors are put into memory; None: as they are."""
        if self.layout == BACKWARDS:
            return backwards
        if self.layout in LAYOUTS:
            return lambda t, layout=LAYOUTS[self.layout]: stored(layout(t.clone()))
        return None


@functools.lru_cache(300)  # both directions, and the kernels of a folder, get the same calls
def _drawn(op: Op, example: str, rows: int, columns: int, layout: str, values: str, seed: int, dtype: torch.dtype) -> Call:
    if values in INTEGERS:
        op = _changed(op, _integers, INTEGERS[values])
    elif values:
        op = _changed(op, _floats, (VALUES | sixteen.VALUES)[values], every=values == sixteen.ALL_EQUAL)
    return Call.make(op, example, rows, columns, dtype, LAYOUTS.get(layout, lambda t: t), seed)


forget = _drawn.cache_clear  # the calls so far, and what is right for them


def _floats(t: Tensor) -> bool:
    return t.is_floating_point()


def _integers(t: Tensor) -> bool:
    return t.dtype == torch.int64 and t.dim() > 0


IGNORED = "every second target is -100, which ignore_index is by default"
INTEGERS = {IGNORED: lambda t: torch.where(torch.arange(t.numel()).view(t.shape) % 2 == 1, -100, t)}


def _changed(op: Op, which: Callable[[Tensor], bool], change: Callable[[Tensor], Tensor], every: bool = False) -> Op:
    """The operator with other numbers in the first tensor of a kind in its examples, or in every one."""

    def changed(example):
        def make(rows, columns, dtype):
            args, kwargs = example(rows, columns, dtype)
            places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and which(a)]
            new = list(args)
            for i in places if every else places[:1]:
                new[i] = change(args[i].detach()).clone().requires_grad_(args[i].requires_grad)
            return tuple(new), kwargs

        return make

    return replace(op, examples={name: changed(example) for name, example in op.examples.items()})


def inside_out(op: Op) -> Op:
    """The operator with the same numbers at the ends of the first tensor of its examples, and others between."""

    def change(x: Tensor) -> Tensor:
        flat = x.flatten().clone()
        flat[1:-1] = flat[1:-1].flip(0)
        return flat.view(x.shape)

    return _changed(op, _floats, change)


def always() -> set[tuple[int, int]]:
    """The sizes that do not depend on the seed."""
    return {*verify.SIZES, *BLOCKS, LARGE}


def sizes(kernel: Candidate, seed: int) -> Iterator[Question]:
    """The smallest first."""
    generator = torch.Generator().manual_seed(seed)
    powers = torch.rand(DRAWN, 2, generator=generator)
    drawn = [tuple(int(MOST**power) for power in pair) for pair in powers.tolist()]
    drawn[-1:] = [tuple(MOST + 1 + int(MOST * power) for power in pair) for pair in powers.tolist()[-1:]]
    asked = {*always(), *drawn}
    for rows, columns in sorted(asked, key=lambda size: (math.prod(size), size)):
        if kernel.timed or rows * columns <= INTERPRETED:
            yield Question("sizes", kernel.contract.plain, rows, columns)


def options(kernel: Candidate) -> Iterator[Question]:
    """The other examples of the operator; in C++ those that the prototype has room for."""
    contract = kernel.contract
    for example, (rows, columns) in ((e, size) for size in SOME for e in contract.op.examples if e != contract.plain):
        question = Question("options", example, rows, columns)
        if kernel.kind != "C++" or contract.fits(question.call(contract.op)):
            yield question
    if kernel.kind == "C++":
        return
    ignore = contract.signature.parameters.get("ignore_index")
    if ignore is not None and ignore.default == -100:
        for rows, columns in SOME:
            yield Question("options", contract.plain, rows, columns, values=IGNORED)


def strides(kernel: Candidate) -> Iterator[Question]:
    """Strides as views have them. In C++ all arrays are contiguous."""
    if kernel.kind == "C++":
        return
    layouts = [*LAYOUTS, BACKWARDS] if kernel.kind == "NumPy" else LAYOUTS
    for (rows, columns), layout in ((size, layout) for size in SOME for layout in layouts):
        yield Question("strides", kernel.contract.plain, rows, columns, layout)


def values(kernel: Candidate) -> Iterator[Question]:
    """Small, large and special numbers in the first argument. Where torch's own is wrong, they are not `fair`."""
    op = kernel.contract.op
    sums_products = op.products is not None or op.primitive in ("matmul", "attention")
    for value, (rows, columns) in ((value, size) for value in VALUES for size in FEW):
        # the order of additions decides where a sum of such products overflows
        if not (sums_products and value == LARGEST):
            yield Question("values", kernel.contract.plain, rows, columns, values=value)


def empty(kernel: Candidate) -> Iterator[Question]:
    """Sizes of zero, wherever torch takes them."""
    for rows, columns in verify.EMPTY:
        question = Question("empty", kernel.contract.plain, rows, columns)
        try:
            question.call(kernel.contract.op)
        except Exception:  # torch refuses it too
            continue
        yield question


def dtypes(kernel: Candidate) -> Iterator[Question]:
    """float64, and 16 bits where arithmetic in them is not NumPy's own. In C++ the prototype says float."""
    more = {"torch": (torch.bfloat16, torch.float16), "Triton": (torch.float16,)}.get(kernel.kind, ())
    if kernel.kind == "C++":
        return
    plain = kernel.contract.plain
    asked = [Question("dtypes", plain, *size, dtype=torch.float64) for size in FEW]
    for dtype in more:
        asked += [Question("dtypes", plain, *size, dtype=dtype) for size in FEW]
        asked += [Question("dtypes", plain, *size, values=v, dtype=dtype) for v in sixteen.STEPS for size in FEW]
        asked.append(Question("dtypes", plain, 2, 1025, values=sixteen.ALL_EQUAL, dtype=dtype))
        long = sixteen.LONG if kernel.timed else sixteen.INTERPRETED
        asked += [Question("dtypes", example, *long, dtype=dtype) for example in kernel.contract.op.examples]
    for question in asked:
        if not kernel.refuses(question.call(kernel.contract.op)):
            yield question


def rule(dtype: torch.dtype) -> Rule:
    """How far from the oracle a result of this dtype may be."""
    return sixteen.RULE if torch.finfo(dtype).bits == 16 else RULE


def out_of_range(kernel: Candidate) -> Iterator[tuple[str, Call]]:
    """Calls with an index that torch refuses. C++ cannot raise, and on a GPU nobody looks at them on the host."""
    if kernel.kind in ("C++", "Triton"):
        return
    contract = kernel.contract
    call = Question("range", contract.plain, 17, 31).call(contract.op)
    for name, value in contract.bound(call).items():
        if name not in INDICES or not isinstance(value, Tensor) or not _integers(value):
            continue
        for index in (10**6, -1):
            wrong = value.clone()
            wrong.view(-1)[-1] = index
            args = tuple(wrong if a is value else a for a in call.args)
            try:
                contract.op.torch(*args, **call.kwargs)
            except Exception:  # whatever torch raises
                yield f"{name} holds {index}", replace(call, args=args)


def fair(call: Call, direction: str) -> bool:
    """Whether torch's own answer passes."""
    copied = verify.on_tensors(lambda t: verify.copied(t, t.dtype, t.device), call.args, call.kwargs)
    own = verify.run(call.op.torch, *copied, [g.clone() for g in call.upstream])
    checks, outputs = call.judge(own, rule(call.dtype)), len(call.upstream)
    return all(check.ok for check in (checks[:outputs] if direction == "forward" else checks[outputs:]))


def left_out(kind: str) -> list[str]:
    """What is not judged, whatever the kernel does."""
    if kind == "C++":
        return ["arguments that the prototype has no room for", "strides", "float64", "16 bits", "indices out of range"]
    return {"NumPy": ["16 bits"], "Triton": ["bfloat16", "indices out of range"]}.get(kind, [])
