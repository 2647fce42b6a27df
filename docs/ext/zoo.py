"""The zoo of wrong kernels: what was changed in a right one, and what `scratchnet check` says to it."""

import difflib
import runpy
import sys

from _made import MADE, ROOT, write

FOLDER = MADE
HOME = ROOT / "tests" / "checker"


def setup(app):
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write the page."""
    write(FOLDER / "zoo.md", page(zoo()))


def zoo() -> dict[str, tuple[str, str, str, str, str]]:
    """Name -> file, direction, what is replaced, by what, words of the diagnosis."""
    sys.path.insert(0, str(HOME))  # the zoo takes those that cheat from a file beside it
    try:
        return runpy.run_path(str(HOME / "zoo.py"))["ZOO"]
    finally:
        sys.path.remove(str(HOME))


def page(kernels: dict[str, tuple[str, str, str, str, str]]) -> str:
    """The zoo in Markdown."""
    parts = [
        "# The zoo of wrong kernels\n\n"
        f"{len(kernels)} kernels, each a right one with one change. `scratchnet check` finds what is wrong with every one, "
        "and the words quoted here are in its diagnosis of this kernel and of no other: the tests of the checker see to that.\n"
    ]
    for name, (file, direction, old, new, words) in kernels.items():
        parts.append(f"## {name}\n\n`{file}`, {direction}. The judge says: **… {escape(words)} …**\n")
        parts.append(f"```diff\n{change(file, old, new)}\n```\n")
    parts.append("The right kernels are in `tests/checker/right`.\n")
    return "\n".join(parts)


def change(file: str, old: str, new: str) -> str:
    """The lines that differ from the right kernel."""
    right = (HOME / "right" / file).read_text(encoding="utf-8")
    wrong = right.replace(old, new, 1) if old else right + new
    lines = list(difflib.unified_diff(right.splitlines(), wrong.splitlines(), n=1, lineterm=""))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def escape(words: str) -> str:
    return words.replace("*", r"\*").replace("_", r"\_").replace("[", r"\[")
