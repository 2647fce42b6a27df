"""A page for each rung of each ladder: its source, with the lines highlighted that the rung below does not have, and the
headers of its folder that come with it."""

import os
import re
from itertools import groupby
from pathlib import Path

from _made import LANGUAGES, MADE, write

from scratchnet.columns import CSRC
from scratchnet.measure.ladder import Rung, below, difference, lines, new_lines, rungs
from scratchnet.ops import BACKENDS, FILES, OPS, PRIMITIVES

FOLDER = MADE / "rungs"
HEAD = re.compile(r'(?:"""|// )(.*?)(?:\n\n|\n//\n|\n#|""")', re.DOTALL)  # the first paragraph of a file
INCLUDED = re.compile(r'^#include "(.+)"', re.MULTILINE)
CELL = re.compile(r"^\| (\w+):(\d+) \|", re.MULTILINE)  # where a row of a ladder's table begins


def setup(app):
    app.connect("builder-inited", make)
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write all pages and the list of them."""
    parts = ["# The rungs\n\nEvery step of every ladder, with the lines that it adds to the one below.\n"]
    for ladder, steps in ladders().items():
        parts.append(f"## {ladder}\n\n{about(ladder, steps)}\n")
        for column, group in groupby(steps, key=lambda step: step.column):
            own = list(group)
            parts.append(f"{BACKENDS[column].what}:\n")
            parts.append("".join(f"- [{step.name}]({address(step)}.md): {step.idea}\n" for step in own))
            for step in own:
                write(FOLDER / f"{address(step)}.md", page(steps, step))
        hidden = "".join(f"{address(step)}\n" for step in steps)
        parts.append(f"```{{toctree}}\n:hidden:\n\n{hidden}```\n")
    write(FOLDER / "index.md", "\n".join(parts))


def ladders() -> dict[str, list[Rung]]:
    """Operator -> the rungs that are its own: those whose file no operator before it has; those that give a file its name come
    first in their family. Then folder -> the rungs of no operator: steps of optimizers, and what measures the machine's limit.
    """
    shown: set[Path] = set()
    found = {}
    for op in sorted(OPS.values(), key=lambda op: (PRIMITIVES.index(op.primitive), op.name != FILES[op.name])):
        own = [step for step in rungs(op.name) if step.source not in shown]
        shown |= {step.source for step in own}
        if own:
            found[op.name] = own
    for path in sorted({*CSRC.glob("cpu/*/[0-9]_*")} - shown):
        number, _, idea = path.stem.partition("_")
        found.setdefault(path.parent.name, []).append(Rung("cpp", path.parent.name, int(number), idea.replace("_", " ")))
    return found


def about(ladder: str, steps: list[Rung]) -> str:
    """Where more is said, and which operators run these rungs."""
    if ladder not in OPS:
        return "They belong to no operator."
    primitive, files = OPS[ladder].primitive, {step.source for step in steps}
    others = [f"`{name}`" for name in OPS if name != ladder and files & {step.source for step in rungs(name)}]
    also = f" They serve {', '.join(others)} too." if others else ""
    link = f"[{primitive}](../../{primitive}.md)"
    return (f"The page about {link} says what each gains." if ladder == primitive else f"Of the family of {link}.") + also


def address(step: Rung) -> str:
    """The page of a rung, seen from the list."""
    return f"{step.ladder}/{step.column}-{step.number}"


def page(steps: list[Rung], step: Rung) -> str:
    """A rung in Markdown."""
    low = below(steps, step)
    high = next((other for other in steps if below(steps, other) == step), None)
    primitive = OPS[step.ladder].primitive if step.ladder in OPS else None
    links = [f"[{primitive}](../../../{primitive}.md)"] if primitive else []
    links += [
        f"[{way}: {rung.name}, {rung.idea}](../{address(rung)}.md)" for way, rung in (("below", low), ("above", high)) if rung
    ]
    title = f"# {step.ladder}, {step.name}: {step.idea}\n\n{' · '.join(links)}"
    facts = f"{sentence(step)}\n\n`{step.source.name}`; lines: {lines(steps, step)}."
    own = [path for path in headers(step.source) if low is None or path not in headers(low.source)]
    folded = "".join(f":::{{dropdown}} `{path.name}`\n{listing(path)}\n```\n:::\n" for path in own)
    if low is None:
        with_it = f"\nThe headers of its folder that it includes:\n\n{folded}" if own else ""
        return f"{title}\n\n{facts}\n\n{listing(step.source)}\n```\n{with_it}"
    with_it = f"The headers of its folder that it includes and {low.name} does not:\n\n{folded}\n" if own else ""
    new = ",".join(map(str, new_lines(low, step)))
    changes = "\n".join(difference(low, step))
    command = f": `scratchnet ladder {step.ladder} --diff {low.name} {step.name}`" if primitive else ""
    return (
        f"{title}\n\n{facts} Highlighted are those that {low.name} does not have.\n\n{listing(step.source)}\n"
        f":emphasize-lines: {new}\n```\n\n{with_it}"
        f":::{{dropdown}} What goes and what comes{command}\n"
        f"```diff\n{changes}\n```\n:::\n"
    )


def listing(path: Path) -> str:
    """The directive that shows a file, without its end: for a page of rungs, which all lie in a folder of FOLDER."""
    return f"```{{literalinclude}} {os.path.relpath(path, FOLDER / 'any')}\n:language: {LANGUAGES[path.suffix]}\n:linenos:"


def headers(source: Path) -> list[Path]:
    """The headers of its own folder that a file includes, itself or through one another, each once."""
    places = [place / name for name in INCLUDED.findall(source.read_text(encoding="utf-8")) for place in (source.parent, CSRC)]
    own = [path for path in places if path.parent == source.parent and path.exists()]
    return list(dict.fromkeys(path for one in own for path in (one, *headers(one))))


def sentence(step: Rung) -> str:
    """What a rung's file says first, as Markdown."""
    said = HEAD.match(step.source.read_text(encoding="utf-8"))[1]
    return re.sub(r"([*_<$\[])", r"\\\1", re.sub(r"\n(?:// )?", " ", said))


def link(app, name, text):
    """Link the rows of a primitive's ladder to the pages of its rungs."""
    if name in PRIMITIVES:
        places = {step.name: f"_made/rungs/{address(step)}.md" for step in rungs(name)}
        text[0] = CELL.sub(lambda row: f"| [{row[1]}:{row[2]}]({places[f'{row[1]}:{row[2]}']}) |", text[0])
