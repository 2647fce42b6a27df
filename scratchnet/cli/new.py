"""`scratchnet new`: the scaffold of a reader's own operator, which works before any change."""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path

import scratchnet
from scratchnet.checker.compiler import find_compiler
from scratchnet.cli import options

TEMPLATES = Path(scratchnet.__file__).parent / "templates"
NAME = "my_op"  # what the operator is called in the templates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet new`."""
    parser.add_argument("name", type=_name, help="of the operator and of the folder to create, e.g. my_primitive")


def _name(text: str) -> str:
    if not text.isidentifier() or text != text.lower() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"needs a name in lower case that Python can import, e.g. my_primitive, got {text!r}")
    return text


def run(args: argparse.Namespace) -> int:
    """Write the folder; 1 if there is one already."""
    folder, screen = Path(args.name), options.page()
    if folder.exists():
        screen.print(f"{folder} exists already: nothing was written", highlight=False)
        return 1
    folder.mkdir()
    for template in sorted(TEMPLATES.glob(f"*{NAME}*.*")):
        path = folder / template.name.replace(NAME, args.name)
        path.write_text(template.read_text(encoding="utf-8").replace(NAME, args.name), encoding="utf-8")
        screen.print(f"written: {path}", highlight=False)
    if not find_compiler():
        screen.print("There is no C++ compiler here: the tests of the C++ kernel will be skipped. Install g++ or set CXX.")
    screen.print(f"Now: cd {folder}; python -m pytest; python bench_{args.name}.py; then read {args.name}.md", highlight=False)
    return 0
