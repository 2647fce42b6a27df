"""A page for each rung of each ladder: its source, with the lines highlighted that the rung below does not have, and the
headers of its folder that come with it."""

import os
import re
from itertools import groupby
from pathlib import Path

from _made import LANGUAGES, MADE, write

from scratchnet.columns import CSRC
from scratchnet.measure.ladder import LADDERS, Rung, below, difference, lines, new_lines, rungs
from scratchnet.ops import BACKENDS, FILES, PRIMITIVES

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
    for ladder, op in LADDERS.items():
        steps, names = rungs(ladder), ", ".join(f"`{name}`" for name, file in FILES.items() if file == ladder)
        about = "The page about {} says what each rung gains." if ladder == op.primitive else f"{names}, of the family of {{}}."
        parts.append(f"## {ladder}\n\n{about.format(f'[{op.primitive}](../../{op.primitive}.md)')}\n")
        for column, group in groupby(steps, key=lambda step: step.column):
            own = list(group)
            parts.append(f"{BACKENDS[column].what}:\n")
            parts.append("".join(f"- [{step.name}]({address(step)}.md): {step.idea}\n" for step in own))
            for step in own:
                write(FOLDER / f"{address(step)}.md", page(steps, step))
        hidden = "".join(f"{address(step)}\n" for step in steps)
        parts.append(f"```{{toctree}}\n:hidden:\n\n{hidden}```\n")
    write(FOLDER / "index.md", "\n".join(parts))


def address(step: Rung) -> str:
    """The page of a rung, seen from the list."""
    return f"{step.ladder}/{step.column}-{step.number}"


def page(steps: list[Rung], step: Rung) -> str:
    """A rung in Markdown."""
    low = below(steps, step)
    high = next((other for other in steps if below(steps, other) == step), None)
    primitive = LADDERS[step.ladder].primitive
    links = [f"[{primitive}](../../../{primitive}.md)"]
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
    return (
        f"{title}\n\n{facts} Highlighted are those that {low.name} does not have.\n\n{listing(step.source)}\n"
        f":emphasize-lines: {new}\n```\n\n{with_it}"
        f":::{{dropdown}} What goes and what comes: `scratchnet ladder {step.ladder} --diff {low.name} {step.name}`\n"
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
