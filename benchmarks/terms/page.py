"""docs/glossary.md, read: the terms that it defines, the numbers and the lines of code that it names."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "glossary.md"


@dataclass(frozen=True)
class Line:
    """One line of code that the glossary points at."""

    path: str
    phrase: str

    @classmethod
    def read(cls, text: str) -> Line:
        """From `path: phrase`."""
        return cls(*text.split(": ", 1))

    @property
    def number(self) -> int:
        """Counted from 1. ValueError unless exactly one line of the file contains the phrase."""
        lines = (ROOT / self.path).read_text(encoding="utf-8").splitlines()
        found = [i for i, line in enumerate(lines, start=1) if self.phrase in line]
        if len(found) != 1:
            raise ValueError(f"docs/glossary.md: {len(found)} lines of {self.path} contain {self.phrase!r}, not one")
        return found[0]

    @property
    def label(self) -> str:
        return f"line-{re.sub(r'[^a-z0-9]+', '-', self.path.lower())}-{self.number}"


def terms() -> list[str]:
    """Those that docs/glossary.md defines, in its order."""
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith(" ")]


def quoted() -> dict[str, str]:
    """Word of the course -> the term whose entry begins with the course's definition of it."""
    found = re.findall(r"^(\S.*)\n  \{concept\}`([^`]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {word: term for term, word in found}


def used(role: str) -> list[str]:
    """What docs/glossary.md gives to a role, each once."""
    return list(dict.fromkeys(re.findall(rf"\{{{role}\}}`([^`]+)`", PAGE.read_text(encoding="utf-8"))))


def table() -> dict:
    return json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))


def formulas() -> dict[str, str]:
    """Name of each function that measures a number -> its docstring."""
    found = {}
    for path in sorted((ROOT / "benchmarks" / "terms").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any("number" in ast.unparse(d) for d in node.decorator_list):
                found[node.name] = " ".join(ast.get_docstring(node).split())
    return found


def shown(entry: dict) -> str:
    """A number with its unit."""
    return f"{entry['value']:,} {entry['unit']}".strip().replace(" %", " %")
