"""A page for each rung of each ladder: its source, with the lines highlighted that the rung below does not have."""

import os
import re
from itertools import groupby

from _made import LANGUAGES, MADE, write

from scratchnet.measure.ladder import Rung, below, difference, lines, new_lines, rungs
from scratchnet.ops import BACKENDS, PRIMITIVES

FOLDER = MADE / "rungs"
HEAD = re.compile(r'(?:"""|// )(.*?)(?:\n\n|\n//\n|\n#|""")', re.DOTALL)  # the first paragraph of a file
CELL = re.compile(r"^\| (\w+):(\d+) \|", re.MULTILINE)  # where a row of a ladder's table begins


def setup(app):
    app.connect("builder-inited", make)
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make(app):
    """Write all pages and the list of them."""
    parts = ["# The rungs\n\nEvery step of every ladder, with the lines that it adds to the one below.\n"]
    for primitive in PRIMITIVES:
        steps = rungs(primitive)
        parts.append(f"## {primitive}\n\n[The page about {primitive}](../../{primitive}.md) says what each rung gains.\n")
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
    return f"{step.primitive}/{step.column}-{step.number}"


def page(steps: list[Rung], step: Rung) -> str:
    """A rung in Markdown."""
    low = below(steps, step)
    high = next((other for other in steps if below(steps, other) == step), None)
    path = os.path.relpath(step.source, (FOLDER / address(step)).parent)
    links = [f"[{step.primitive}](../../../{step.primitive}.md)"]
    links += [
        f"[{way}: {rung.name}, {rung.idea}](../{address(rung)}.md)" for way, rung in (("below", low), ("above", high)) if rung
    ]
    title = f"# {step.primitive}, {step.name}: {step.idea}\n\n{' · '.join(links)}"
    facts = f"{sentence(step)}\n\n`{step.source.name}`; lines: {lines(steps, step)}."
    source = f"```{{literalinclude}} {path}\n:language: {LANGUAGES[step.source.suffix]}\n:linenos:"
    if low is None:
        return f"{title}\n\n{facts}\n\n{source}\n```\n"
    new = ",".join(map(str, new_lines(low, step)))
    changes = "\n".join(difference(low, step))
    return (
        f"{title}\n\n{facts} Highlighted are those that {low.name} does not have.\n\n{source}\n:emphasize-lines: {new}\n```\n\n"
        f":::{{dropdown}} What goes and what comes: `scratchnet ladder {step.primitive} --diff {low.name} {step.name}`\n"
        f"```diff\n{changes}\n```\n:::\n"
    )


def sentence(step: Rung) -> str:
    """What a rung's file says first, as Markdown."""
    said = HEAD.match(step.source.read_text(encoding="utf-8"))[1]
    return re.sub(r"([*_<$\[])", r"\\\1", re.sub(r"\n(?:// )?", " ", said))


def link(app, name, text):
    """Link the rows of a primitive's ladder to the pages of its rungs."""
    if name in PRIMITIVES:
        places = {step.name: f"_made/rungs/{address(step)}.md" for step in rungs(name)}
        text[0] = CELL.sub(lambda row: f"| [{row[1]}:{row[2]}]({places[f'{row[1]}:{row[2]}']}) |", text[0])
