"""A page for each primitive with its five columns side by side, cut into the same two steps: forward and backward."""

import re
from importlib.util import find_spec
from pathlib import Path

from _made import LANGUAGES, MADE, ROOT, write

from scratchnet.columns import module
from scratchnet.measure.ladder import rungs
from scratchnet.ops import BACKENDS, OPS, PRIMITIVES

FOLDER = MADE / "backends"
LABELS = {"numpy": "NumPy", "reference": "PyTorch", "cpp": "C++", "cuda": "CUDA", "triton": "Triton"}
# What a piece of source defines: a Python function or constant, a C++ function with a body, a type, a constant.
DEFINED = re.compile(
    r"^def (\w+)|^(\w+) = |^(?! )(?:[\w:<>&* ]+ )?\**(\w+)\([^;{]*\{|^struct (\w+)|^(?:inline )?constexpr [\w:<>]+ (\w+)",
    re.MULTILINE,
)
PROSE = re.compile(r'//.*|# .*|"""[^"]*"""|"[^"\n]*"')  # words in it are no calls
TABLE = re.compile(r"SN_TYPED\((\w+)\)")


def setup(app):
    app.connect("builder-inited", make)
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write all pages and the list of them."""
    names = "".join(f"{primitive}\n" for primitive in PRIMITIVES)
    intro = "One pair of functions, written five times. The tab that you choose stays chosen in the next step."
    write(FOLDER / "index.md", f"# Five backends, side by side\n\n{intro}\n\n```{{toctree}}\n{names}```\n")
    for primitive in PRIMITIVES:
        write(FOLDER / f"{primitive}.md", page(primitive))


def link(app, name, text):
    """Lead from a primitive's page to its backends."""
    if name in PRIMITIVES:
        text[0] += f"\n## Five backends\n\n[The kernels of {name} side by side](_made/backends/{name}.md).\n"


def page(primitive: str) -> str:
    """A primitive in Markdown."""
    files = {column: source(primitive, column) for column in BACKENDS}
    parts = [
        f"# {primitive} on five backends\n\n"
        f"From the mathematics of [{primitive}](../../{primitive}.md) to the first rung of each ladder: the function of the "
        "step, and what it uses from its file. Choose a tab, and the other step shows that backend too. "
        f"[The later rungs](../rungs/index.md#{primitive.replace('_', '-')}) are the fast ones.\n"
    ]
    for direction in ("forward", "backward"):
        parts.append(f"## {direction.capitalize()}\n\n:::::{{tab-set}}")
        for column, path in files.items():
            parts.append(f"::::{{tab-item}} {LABELS[column]}\n:sync: {column}\n\n{step(primitive, path, direction)}\n::::")
        parts.append(":::::\n")
    return "\n".join(parts)


def source(primitive: str, column: str) -> Path:
    """The file of a column, or of its first rung."""
    if column in ("numpy", "reference"):
        return Path(find_spec(module(OPS[primitive], column)).origin)
    return rungs(primitive, (column,))[0].source


def step(primitive: str, path: Path, direction: str) -> str:
    """The code of one direction, as Markdown."""
    text = path.read_text(encoding="utf-8")
    entry, one_for_both = entries(primitive, text)[direction], len(set(entries(primitive, text).values())) == 1
    if direction == "backward" and one_for_both:
        return f"`{entry}` again: forward and backward call the same function of `{path.relative_to(ROOT)}`."
    return f"`{path.relative_to(ROOT)}`:\n\n```{LANGUAGES[path.suffix]}\n{used(text, entry)}\n```"


def entries(primitive: str, text: str) -> dict[str, str]:
    """Direction -> the function that computes it: the one of that name, or else the first of the rung's table."""
    found = {}
    for direction in ("forward", "backward"):
        names = [name for name in (f"{primitive}_{direction}", direction) if any(name in piece for piece in defined(text))]
        found[direction] = (names or TABLE.findall(text))[0]
    return found


def pieces(text: str) -> list[str]:
    """The source cut where a line without indentation follows a blank one."""
    return re.split(r"\n\n+(?=\S)", text.rstrip())


def defined(text: str) -> list[set[str]]:
    """The names that each piece defines."""
    return [{name for found in DEFINED.findall(piece) for name in found if name} for piece in pieces(text)]


def used(text: str, entry: str) -> str:
    """The pieces that define a function and, directly or not, what it mentions of the same file."""
    all_pieces, all_names = pieces(text), defined(text)
    wanted, new = set(), {entry}
    while new:
        wanted |= {at for at, names in enumerate(all_names) if names & new}
        words = {word for at in wanted for word in re.findall(r"\w+", PROSE.sub("", all_pieces[at]))}
        new = {name for at, names in enumerate(all_names) if at not in wanted for name in names & words}
    return "\n\n".join(all_pieces[at] for at in sorted(wanted))
