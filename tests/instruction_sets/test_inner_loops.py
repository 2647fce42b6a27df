"""The innermost loops in assembly, for every instruction set: sums stay in registers, or the kernel takes twice as long.

The compiler decides that, and an edit elsewhere may change its mind: GCC 12 kept the sums of an inlined tile in memory.
"""

import re
from pathlib import Path

import pytest
from instruction_sets.assembly import Loop, compiled, loops, missing
from instruction_sets.toolchain import ROOT

CPU, PLANTED = ROOT / "csrc" / "cpu", Path(__file__).with_name("planted.cpp")
TILE = re.compile(r"\btile<(?P<type>\w+), (?P<rows>\d+), (?P<vectors>\d+), (?P<terms>\d+), ")


def or_skipped(isa: str):
    return pytest.param(isa, marks=pytest.mark.skipif(missing(isa) is not None, reason=str(missing(isa))))


every_isa = pytest.mark.parametrize("isa", [or_skipped(isa) for isa in ("baseline", "avx2", "avx512", "neon")])


def multiplying(source: Path, isa: str) -> list[Loop]:
    """The innermost loops of a source with more multiply-adds than the address of an element takes."""
    return [loop for loop in loops(source, isa) if loop.multiply_adds >= 4]


def tiles(source: Path, isa: str) -> dict[tuple[str, int, int, int], list[Loop]]:
    """(type, rows, vectors, terms) -> the loops over the terms of tiles of that size, one for each way to read a and b."""
    sizes: dict[tuple[str, int, int, int], list[Loop]] = {}
    for loop in loops(source, isa):
        if loop.multiply_adds and (match := TILE.search(loop.function)):
            sizes.setdefault((match["type"], *map(int, match.group("rows", "vectors", "terms"))), []).append(loop)
    return sizes


def constants(source: Path, isa: str, *names: str) -> list[int]:
    """Numbers that a source defines for an instruction set as `int NAME = number`, one after the other."""
    text = compiled(source, isa, "-E")
    return [int(re.search(rf"\b{name} = (\d+)[,;]", text)[1]) for name in names]


@pytest.mark.full  # compiling takes 5 to 10 seconds
@every_isa
@pytest.mark.parametrize("rung", ("matmul/7_packed", "matmul/8_in_place", "conv2d/9_many_filters"))
def test_the_tile_of_a_product(rung, isa):
    """Every size of it: rows x vectors multiply-adds per step, no sum on the stack, and no store but those of a copy of b."""
    source = CPU / f"{rung}.cpp"
    rows, vectors = constants(source, isa, "ROWS", "VECTORS")
    found = tiles(source, isa)
    wanted = {("float", rows, vectors, 1), ("double", rows, vectors, 1)}
    if isa == "avx512" and rung.startswith("matmul/"):
        wanted.add(("float", rows, vectors, 2))  # pairs of bfloat16
    assert wanted <= set(found), "there is no such function: is the tile inlined?"
    for (_, rows, vectors, _), own in found.items():
        for loop in own:
            if isa == "baseline" and "columns_in_place" in loop.function:
                continue  # few rows: 12 sums and a product are too many for 16 registers, and float16 is converted in the loop
            steps, rest = divmod(loop.multiply_adds, rows * vectors)
            copies = "copied_columns" in loop.function
            assert steps > 0 and rest == 0, loop
            assert not loop.stack and len(loop.stores) <= (steps * vectors if copies else 0), loop


@every_isa
def test_a_tile_with_too_many_sums_is_caught(isa):
    rows, vectors = constants(PLANTED, isa, "ROWS", "VECTORS")
    found = tiles(PLANTED, isa)
    assert set(found) == {("float", rows, vectors, 1), ("float", 2 * rows, vectors, 1)}
    for (_, height, _, _), own in found.items():
        for loop in own:
            assert loop.multiply_adds % (height * vectors) == 0, loop
            assert bool(loop.spills) == bool(loop.stack) == bool(loop.stores) == (height > rows), loop


@every_isa
def test_gelu_stores_its_results_alone(isa):
    """Its polynomials leave no intermediate result on the stack."""
    found = multiplying(CPU / "gelu" / "3_simd.cpp", isa)
    assert len({loop.function for loop in found}) == 16  # forward and backward, both formulas, four types
    for loop in found:
        assert loop.stores and not loop.spills, loop


@every_isa
def test_the_roof_is_nothing_but_multiply_adds(isa):
    """What speeds are compared to as the limit of the CPU has to be its limit."""
    source = CPU / "roof" / "1_multiply_add.cpp"
    (chains,) = constants(source, isa, "CHAINS")
    found = multiplying(source, isa)
    assert len(found) == 2  # float32 and float64
    for loop in found:
        assert not loop.stores and not loop.stack and loop.multiply_adds % chains == 0, loop
