"""A warp loading from memory: which sectors of global memory move, and how often shared memory has to be read."""

from collections import Counter
from typing import Any

LANES, WORD, SECTOR, BANKS = 32, 4, 32, 32  # threads of a warp; bytes of a float and of a sector; banks of shared memory
ROW = 32  # words in a row of the picture: four sectors of global memory, one word of every bank of shared memory

# memory, stride, offset: lane i loads word stride * i + offset
PATTERNS = [
    ("global", 1, 0),
    ("global", 1, 1),
    ("global", 2, 0),
    ("global", 8, 0),
    ("global", 0, 0),
    ("shared", 1, 0),
    ("shared", 2, 0),
    ("shared", 32, 0),
    ("shared", 33, 0),
    ("shared", 0, 0),
]


def code(memory: str, stride: int, offset: int) -> str:
    """The load as CUDA has it: x is global memory, tile shared memory."""
    index = "0" if stride == 0 else "lane" if stride == 1 else f"{stride} * lane"
    return f"{'x' if memory == 'global' else 'tile'}[{index}{f' + {offset}' if offset else ''}]"


def words(stride: int, offset: int) -> list[int]:
    """The word that each lane loads."""
    return [stride * lane + offset for lane in range(LANES)]


def sectors(loaded: list[int]) -> int:
    """How many sectors of global memory move."""
    return len({word * WORD // SECTOR for word in loaded})


def passes(loaded: list[int]) -> int:
    """How often shared memory is read: a bank gives one word at a time, to all lanes that want this word."""
    return max(Counter(word % BANKS for word in set(loaded)).values())


def data() -> dict[str, Any]:
    """The loads of each pattern, and the sizes of the hardware."""
    loads = [{"memory": p[0], "code": code(*p), "words": words(*p[1:])} for p in PATTERNS]
    return {"word": WORD, "sector": SECTOR, "banks": BANKS, "row": ROW, "loads": loads}


def expected() -> list[dict[str, Any]]:
    """One step for each pattern: what moves."""
    steps: list[dict[str, Any]] = []
    for memory, stride, offset in PATTERNS:
        loaded = words(stride, offset)
        shown = {"code": code(memory, stride, offset), "wanted": WORD * len(set(loaded))}
        moved = {"sectors": sectors(loaded)} if memory == "global" else {"passes": passes(loaded)}
        steps.append(shown | moved)
    return steps


def still() -> str:
    """A table of the patterns."""
    rows = [(step["code"], *(f"{step[key]} {key}" for key in ("sectors", "passes") if key in step)) for step in expected()]
    lines = "".join(
        f'<text class="left" x="4" y="{20 + 22 * i}">{load}</text><text class="left" x="150" y="{20 + 22 * i}">{cost}</text>'
        for i, (load, cost) in enumerate(rows)
    )
    label = "Ten loads of a warp, and the sectors or passes that each takes"
    return f'<svg viewBox="0 0 366 {10 + 22 * len(rows)}" role="img" aria-label="{label}">{lines}</svg>'
