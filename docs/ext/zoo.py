"""The zoo of wrong kernels: what was changed in a right one, and what `torch.allclose` and `scratchnet check` say to it."""

import difflib
import json
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
    write(FOLDER / "zoo.md", page(zoo(), json.loads((HOME / "allclose.json").read_text(encoding="utf-8"))))


def zoo() -> dict[str, tuple[str, str, str, str, str]]:
    """Name -> file, direction, what is replaced, by what, words of the diagnosis."""
    sys.path.insert(0, str(HOME))  # the zoo takes those that cheat from a file beside it
    try:
        return runpy.run_path(str(HOME / "zoo.py"))["ZOO"]
    finally:
        sys.path.remove(str(HOME))


def page(kernels: dict[str, tuple[str, str, str, str, str]], passed: dict[str, bool]) -> str:
    """The zoo in Markdown; passed: which kernels the usual test takes for right."""
    parts = [
        "# The zoo of wrong kernels\n\n"
        f"{len(kernels)} kernels, each a right one with one change. `scratchnet check` finds what is wrong with every one, "
        "and the words quoted here are in its diagnosis of this kernel and of no other: the tests of the checker see to "
        f"that.\n\nThe usual test takes {sum(passed.values())} of them for right. It calls each once, in the plain way, with "
        "32 x 64 normal numbers, and compares with torch's own: `torch.allclose(ours, theirs, rtol=1e-2, atol=1e-2)`.\n"
    ]
    for name, (file, direction, old, new, words) in kernels.items():
        parts.append(
            f"## {name}\n\n`{file}`, {direction}. allclose says: **{'right' if passed[name] else 'wrong'}**. "
            f"The judge says: **… {escape(words)} …**\n"
        )
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
