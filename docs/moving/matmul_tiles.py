"""matmul's first five rungs on a small product: what they load, and which lines a small cache has to fetch for it.

The loops are those of csrc/cpu/matmul, with sizes that fit into a picture. matmul_tiles.cpp has them in C++: there a test
counts, with valgrind's cachegrind, what is counted here.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "matmul.md"
N = 32  # a, b and y are (N, N)
LINE = 8  # numbers in a cache line, and in a register
LINES = 32  # in the cache
ROWS, COLUMNS, DEPTH = 4, 16, 8  # a tile of registers is (ROWS, COLUMNS), the copied block of b (DEPTH, COLUMNS)
WIDTHS = {"a": N, "b": N, "y": N, "copy": COLUMNS}  # numbers in a row

Access = tuple[str, int, int, int, bool]  # matrix, row, column, how many numbers at once, is it a store?
Unit = tuple[int, list[Access]]  # some multiply-adds, and what they load and store, in order


def dot_products() -> Iterator[Unit]:
    """Rung 1, y_ij by y_ij: a row of a meets a column of b."""
    for i in range(N):
        for j in range(N):
            loads = [access for p in range(N) for access in (("a", i, p, 1, False), ("b", p, j, 1, False))]
            yield N, [*loads, ("y", i, j, 1, True)]


def rows_of_b() -> Iterator[Unit]:
    """Rung 2, a_ip by a_ip: it meets a row of b."""
    for i in range(N):
        for p in range(N):
            zeros = [("y", i, j, 1, True) for j in range(N) if p == 0]
            yield N, [*zeros, ("a", i, p, 1, False), *_add_row("b", p, i, range(N))]


def blocks() -> Iterator[Unit]:
    """Rung 3: a block of b is copied, then every row of a meets it."""
    for left in range(0, N, COLUMNS):
        columns = range(left, left + COLUMNS)
        for top in range(0, N, DEPTH):
            zeros = [("y", i, j, 1, True) for i in range(N) for j in columns if top == 0]
            copied = [(("b", top + p, j, 1, False), ("copy", p, j - left, 1, True)) for p in range(DEPTH) for j in columns]
            yield 0, zeros + [access for pair in copied for access in pair]
            for i in range(N):
                sums = [(("a", i, top + p, 1, False), *_add_row("copy", p, i, columns)) for p in range(DEPTH)]
                yield DEPTH * COLUMNS, [access for row in sums for access in row]


def tiles(first: int, last: int) -> Iterator[Unit]:
    """Rung 4, and of rung 5 the rows of one core: the sums of a tile of y stay in registers while DEPTH numbers are added."""
    registers = range(0, COLUMNS, LINE)
    for left in range(0, N, COLUMNS):
        for top in range(0, N, DEPTH):
            zeros = [("y", i, left + v, LINE, True) for i in range(first, last) for v in registers if top == 0]
            copied = [
                (("b", top + p, left + v, LINE, False), ("copy", p, v, LINE, True)) for p in range(DEPTH) for v in registers
            ]
            yield 0, zeros + [access for pair in copied for access in pair]
            for i in range(first, last, ROWS):
                tile = range(i, i + ROWS)
                loads = [
                    access
                    for p in range(DEPTH)
                    for access in (
                        *(("copy", p, v, LINE, False) for v in registers), *(("a", row, top + p, 1, False) for row in tile),
                    )
                ]  # fmt: skip
                sums = [("y", row, left + v, LINE, store) for row in tile for v in registers for store in (False, True)]
                yield ROWS * COLUMNS * DEPTH, loads + sums


def _add_row(matrix: str, p: int, i: int, columns: range) -> list[Access]:
    """Row i of y += a number times row p of b or its copy; in the copy, columns begin at 0."""
    start = columns[0] if matrix == "copy" else 0
    return [
        access
        for j in columns
        for access in ((matrix, p, j - start, 1, False), ("y", i, j, 1, False), ("y", i, j, 1, True))
    ]  # fmt: skip


class Core:
    """One core with its cache, in which the line that was used least recently makes room for a new one."""

    def __init__(self) -> None:
        self.cache: dict[tuple[str, int], None] = {}  # matrix and number of the line, the least recently used first
        self.reads = self.read_misses = self.writes = self.write_misses = 0  # accesses, as cachegrind counts them
        self.loads = 0  # numbers: a register full of them is one access

    @property
    def fetches(self) -> int:
        """How often a line was fetched. A store fetches its line too."""
        return self.read_misses + self.write_misses

    def run(self, accesses: list[Access]) -> set[tuple[str, int]]:
        """Load and store; the lines that had to be fetched."""
        fetched = set()
        for matrix, row, column, width, store in accesses:
            line = matrix, (row * WIDTHS[matrix] + column) // LINE
            missed = line not in self.cache
            self.cache.pop(line, None)
            self.cache[line] = None
            if missed:
                fetched.add(line)
                if len(self.cache) > LINES:
                    del self.cache[next(iter(self.cache))]
            if store:
                self.writes += 1
                self.write_misses += missed
            else:
                self.reads += 1
                self.read_misses += missed
                self.loads += width
        return fetched


def plans() -> list[tuple[list[Iterator[Unit]], list[tuple[int, str]]]]:
    """For each rung: what its cores do, and the steps: how many units at once, and what they are."""
    down, half = N // DEPTH, N // 2
    rest = [(N - 8, "the rest of this row"), (N, "the second row"), (N, "the third row"), (N * (N - 3), "all other rows")]

    def in_blocks(first: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """A block step by step, then more at once."""
        units = 1 + sum(count for count, _ in first)
        return [
            (1, "a block of b is copied"),
            *first,
            (units, "the block below"),
            (units * (down - 2), "the other blocks of these columns"),
            (units * down * (N // COLUMNS - 1), "the other columns"),
        ]

    row_by_row = [(1, f"row {i} of a meets the block") for i in range(8)]
    tile_by_tile = [(1, f"the tile of rows {i} to {i + ROWS - 1}") for i in range(0, N, ROWS)]
    two_at_once = [(1, f"tiles from rows {i} and {half + i} on") for i in range(0, half, ROWS)]
    return [
        ([dot_products()], [*((1, f"y[0, {j}]") for j in range(8)), *rest]),
        ([rows_of_b()], [*((1, f"a[0, {p}] meets row {p} of b") for p in range(8)), *rest]),
        ([blocks()], in_blocks([*row_by_row, (N - 8, "the other rows of a meet the block")])),
        ([tiles(0, N)], in_blocks(tile_by_tile)),
        ([tiles(0, half), tiles(half, N)], in_blocks(two_at_once)),
    ]


@cache
def walk() -> list[dict[str, Any]]:
    """Every step: for each core what it touches and fetches, what its cache then holds; and what has been counted so far."""
    steps = []
    for rung, (work, plan) in enumerate(plans()):
        cores = [Core() for _ in work]
        flops = 0
        for count, what in plan:
            shown = []
            for core, units in zip(cores, work, strict=True):
                touched, fetched = {}, set()
                for multiply_adds, accesses in islice(units, count):
                    flops += 2 * multiply_adds
                    fetched |= core.run(accesses)
                    for matrix, row, column, width, _ in accesses:
                        top, left, bottom, right = touched.get(matrix, (row, column, row, column))
                        box = min(top, row), min(left, column), max(bottom, row + 1), max(right, column + width)
                        touched[matrix] = box
                shown.append({"touched": touched, "held": _by_matrix(core.cache), "fetched": _by_matrix(fetched)})
            total = {key: sum(getattr(core, key) for core in cores) for key in ("loads", "read_misses", "fetches")}
            steps.append({"rung": rung, "what": what, "cores": shown, "flops": flops, **total})
    return steps


def _by_matrix(lines: Any) -> dict[str, list[int]]:
    return {name: sorted(line for matrix, line in lines if matrix == name) for name in WIDTHS}


def measured() -> list[dict[str, Any]]:
    """The rungs, each with its GFLOP/s, forward, as `scratchnet ladder` wrote them into its page."""
    forward = re.search(r"!\[Forward, in GFLOP/s: (.*?)\. Forward\+backward", PAGE.read_text(encoding="utf-8"))
    assert forward, "docs/matmul.md has no measured ladder"
    paces = re.findall(r"(cpp:\d+ [^:;]*): ([\d.]+)", forward[1])
    return [{"name": name, "gflops": float(pace)} for name, pace in paces[: len(plans())]]


def measured_size() -> str:
    """Of the matrices with which they were measured there."""
    size = re.search(r"^- matmul \[.*?\], (\d+)x(\d+), ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert size, "docs/matmul.md has no measured ladder"
    return f"{size[1]} × {size[2]}"


def data() -> dict[str, Any]:
    """The sizes, the rungs with their measured paces, and the steps."""
    sizes = {"n": N, "line": LINE, "widths": WIDTHS, "depth": DEPTH, "measured": measured_size()}
    return {**sizes, "rungs": measured(), "steps": walk()}


def expected() -> list[dict[str, Any]]:
    """So far: loads per FLOP, hit rate, fetches. And how many lines are drawn as fetched and as held by each cache."""
    rungs = measured()
    return [
        {
            "rung": rungs[step["rung"]]["name"],
            "per flop": step["loads"] / step["flops"] if step["flops"] else None,
            "hit rate": 1 - step["read_misses"] / step["loads"],
            "fetches": step["fetches"],
            "drawn": [[sum(map(len, core[kind].values())) for kind in ("fetched", "held")] for core in step["cores"]],
        }
        for step in walk()
    ]


def still() -> str:
    """A table of the rungs at their ends."""
    ends = {step["rung"]: step for step in expected()}
    rows = [("", "loads/FLOP", "hits", "GFLOP/s")]
    rows += [
        (rung["name"], f"{end['per flop']:.2f}", f"{100 * end['hit rate']:.0f} %", f"{rung['gflops']:g}")
        for end, rung in zip(ends.values(), measured(), strict=True)
    ]
    lines = "".join(
        f'<text class="{"" if n else "left"}" x="{x}" y="{20 + 22 * i}">{cell}</text>'
        for i, row in enumerate(rows)
        for n, (x, cell) in enumerate(zip((4, 224, 284, 338), row, strict=True))
    )
    label = "Five rungs of matmul: loads per FLOP and hit rate of a small cache, counted, and GFLOP/s, measured"
    return f'<svg viewBox="0 0 366 {10 + 22 * len(rows)}" role="img" aria-label="{label}">{lines}</svg>'
