"""The glossary's numbers, lines of code and links: a page links the first use of each term to its definition.

Roles of docs/glossary.md: {measured}`name` is a number of glossary.json, which benchmarks/glossary.py wrote;
{line}`path: phrase` is the one line of a file that contains the phrase, {concept}`word` a definition from the course,
{lesson}`29` or {lesson}`P5` a lesson or an exercise, {machine}`cpu` where the numbers come from. `make` writes three pages of
_made from them: the lines with their surroundings, the numbers with their formulas, and the concepts of the course.

Terms are linked in every page, once, where prose uses them as they are written; those with a bracket, such as "block (CUDA)",
are ordinary words too and are linked by hand only. In a page of docs itself *italics* mark a term: one that has no definition
fails the build.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from _made import LANGUAGES, MADE, ROOT, write
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxRole

from scratchnet import course
from scratchnet.course.glossary import GLOSSARY
from scratchnet.course.kernels import FOLDER as EXERCISES
from scratchnet.measure import machine

sys.path.append(str(ROOT / "benchmarks"))

from terms.page import Line, formulas, quoted, shown, table, terms, used  # noqa: E402

AROUND = 5  # lines of code shown before and after the one that is meant
UNLINKED = {"glossary", "_made/changelog", "_made/lines", "_made/numbers", "_made/concepts"}
# Terms that are other words in a page: a window's stride, a fair race, a folder for caches, memory that two arrays share.
ORDINARY = {
    "_made/lessons/27_convolution": {"race", "stride"},
    "_made/lessons/index": {"shared memory"},
    "_made/reference/scratchnet.nn": {"stride"},
    "_made/reference/scratchnet.nn.functional": {"stride"},
    "_made/reference/scratchnet.numpy": {"stride"},
    "practice": {"cache"},
}


def lesson(number: str) -> tuple[str, str]:
    """Name of the file of a lesson or an exercise, and what it is called in a sentence."""
    if number.isdigit():
        found = course.find(number)
        return found.name, f"lesson {found.number}, {found.title}"
    (folder,) = EXERCISES.glob(f"{number}_*")
    return folder.name, f"exercise {(folder / 'exercise.md').read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}"


# ---- Roles --------------------------------------------------------------------------------------------------------------


def link(kind: str, target: str, text: str, document: str = "") -> addnodes.pending_xref:
    """To a label or a term; what is not found is a warning."""
    inner = nodes.inline("", text, classes=["std", f"std-{kind}"])
    return addnodes.pending_xref(
        "", inner, refdomain="std", reftype=kind, reftarget=target, refexplicit=True, refwarn=True, refdoc=document
    )


class Measured(SphinxRole):
    def run(self):
        entry = table()["numbers"].get(self.text)
        if entry is None:
            raise ValueError(f"docs/glossary.json has no number {self.text!r}: python benchmarks/glossary.py --write")
        return [link("ref", f"number-{self.text}", shown(entry), document=self.env.docname)], []


class CodeLine(SphinxRole):
    def run(self):
        line = Line.read(self.text)
        return [link("ref", line.label, f"{line.path}, line {line.number}", document=self.env.docname), nodes.Text(".")], []


class Concept(SphinxRole):
    def run(self):
        return [nodes.Text(GLOSSARY[self.text][1])], []


class LessonLink(nodes.Inline, nodes.TextElement):
    """A lesson or an exercise: linked at the end, if the site has a page of its name."""


class LessonRole(SphinxRole):
    def run(self):
        name, text = lesson(self.text)
        return [LessonLink("", text, name=name)], []


class Machine(SphinxRole):
    def run(self):
        return [nodes.Text(machine.measured(table()["machine"], self.text))], []


class LinkLessons(SphinxPostTransform):
    default_priority = 5

    def run(self, **kwargs):
        for node in list(self.document.findall(LessonLink)):
            page = next((page for page in self.env.found_docs if page.split("/")[-1] == node["name"]), None)
            text = nodes.inline("", node.astext())
            if page:
                uri = self.app.builder.get_relative_uri(self.env.docname, page)
                text = nodes.reference("", "", text, refuri=uri, internal=True)
            node.replace_self(text)


# ---- Links to terms -----------------------------------------------------------------------------------------------------


class LinkTerms(SphinxTransform):
    """The first use of each term in a page, but in no head of a table, which may be a button; and each word in italics, in the
    pages of docs itself."""

    default_priority = 600
    NOT_IN = (nodes.reference, addnodes.pending_xref, nodes.literal, nodes.title, nodes.emphasis, nodes.raw)

    def apply(self, **kwargs):
        page = self.env.docname
        if page in UNLINKED:
            return
        names = {name.lower(): name for name in terms()}
        if "/" not in page:
            for node in list(self.document.findall(nodes.emphasis)):
                text = node.astext()
                node.replace_self(link("term", names.get(text.lower().removesuffix("s"), text), text, document=page))
        linked = {node["reftarget"] for node in self.document.findall(addnodes.pending_xref) if node["reftype"] == "term"}
        linked |= ORDINARY.get(page, set())
        open_names = sorted(
            (key for key, name in names.items() if "(" not in name and name not in linked), key=len, reverse=True
        )
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, open_names))})(?:s|es)?\b", re.IGNORECASE)
        heads = {paragraph for head in self.document.findall(nodes.thead) for paragraph in head.findall(nodes.paragraph)}
        for paragraph in self.document.findall(lambda node: isinstance(node, nodes.paragraph) and node not in heads):
            for text in list(paragraph.findall(nodes.Text)):
                if not self._inside(text, paragraph):
                    self._link(text, pattern, names, linked, page)

    def _inside(self, node, paragraph) -> bool:
        while node is not paragraph:
            node = node.parent
            if isinstance(node, self.NOT_IN):
                return True
        return False

    def _link(self, text, pattern, names, linked, page):
        parts, end = [], 0
        for found in pattern.finditer(text):
            name = names[found[1].lower()]
            if name in linked:
                continue
            linked.add(name)
            parts += [nodes.Text(text[end : found.start()]), link("term", name, found[0], document=page)]
            end = found.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


# ---- Pages --------------------------------------------------------------------------------------------------------------


def make(app: Sphinx) -> None:
    """The pages of _made that hang together with the glossary."""
    for name, text in {"lines": lines_page(), "numbers": numbers_page(), "concepts": concepts_page()}.items():
        if name != "concepts":  # it stands in the table of contents
            text = f"---\norphan: true\n---\n\n{text}"
        write(MADE / f"{name}.md", text)


def lines_page() -> str:
    parts = ["# Lines of code in the glossary\n"]
    lines = {line.label: line for line in map(Line.read, used("line"))}
    for line in sorted(lines.values(), key=lambda line: (line.path, line.number)):
        first, size = max(1, line.number - AROUND), len((ROOT / line.path).read_text(encoding="utf-8").splitlines())
        last = min(size, line.number + AROUND)
        parts.append(
            f"({line.label})=\n## {line.path}, line {line.number}\n\n"
            f"```{{literalinclude}} ../../{line.path}\n:language: {LANGUAGES[Path(line.path).suffix]}\n"
            f":lines: {first}-{last}\n:lineno-start: {first}\n:emphasize-lines: {line.number - first + 1}\n```\n"
        )
    return "\n".join(parts)


def numbers_page() -> str:
    parts = ["# Numbers of the glossary\n", machine.measured(table()["machine"], "cpu") + "\n"]
    said, numbers = formulas(), table()["numbers"]
    for name in sorted(used("measured")):
        parts.append(
            f"(number-{name})=\n## {name}\n\n{shown(numbers[name])}: {said[name]}\n\n"
            f"```sh\npython benchmarks/glossary.py {name}\n```\n"
        )
    return "\n".join(parts)


def concepts_page() -> str:
    known = quoted()
    rows = ["| word | what it means | lessons |", "| --- | --- | --- |"]
    taught = course.index()
    for word, (number, meaning) in GLOSSARY.items():
        name = f"{{term}}`{word} <{known[word]}>`" if word in known else word
        lessons = ", ".join(f"{{lesson}}`{found.number}`" for found in taught[number])
        rows.append(f"| {name} | {meaning.replace('|', chr(92) + '|')} | {lessons} |")
    return "# Concepts of the course\n\n" + "\n".join(rows) + "\n"


def setup(app: Sphinx) -> dict:
    roles = {"measured": Measured(), "line": CodeLine(), "concept": Concept(), "lesson": LessonRole(), "machine": Machine()}
    for name, role in roles.items():
        app.add_role(name, role)
    app.add_node(LessonLink)
    app.add_transform(LinkTerms)
    app.add_post_transform(LinkLessons)
    app.connect("builder-inited", make)
    return {"version": "1", "parallel_read_safe": True}
