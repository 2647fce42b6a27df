"""Tables that a command prints, and writes into a Markdown file between two marker lines."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scratchnet.cli import options


def add_readme(command: str, parser: argparse.ArgumentParser) -> None:
    """The option that names the file."""
    begin, end = _markers(command)
    what = f"replace what is between '{begin}' and '{end}' in FILE with the table"
    parser.add_argument("--readme", type=Path, metavar="FILE", help=what)


def split(command: str, path: Path) -> tuple[str, str]:
    """What comes before and after the table, markers included. SystemExit if the file has no place for it."""
    begin, end = _markers(command)
    parts = re.fullmatch(f"(.*{re.escape(begin)}\n).*({re.escape(end)}.*)", path.read_text(), re.DOTALL)
    if not parts:
        raise SystemExit(f"scratchnet {command}: {path} has no place for the table: it needs the lines\n{begin}\n{end}")
    return parts[1], parts[2]


def report(command: str, path: Path | None, lines: list[tuple[str, ...]], caption: str) -> None:
    """Print the table, whose first line is the header, and the caption; write them into the file too, if there is one."""
    screen = options.console()
    show(screen, lines)
    screen.print(caption, highlight=False, markup=False)
    if path:
        write(command, path, table(lines), caption)


def show(screen: Console, lines: list[tuple[str, ...]]) -> None:
    """Print a table, whose first line is the header."""
    shown = Table(*lines[0])
    shown.columns[0].no_wrap = True  # a name in two halves cannot be searched for
    for line in lines[1:]:
        shown.add_row(*line)
    screen.print(shown)


def table(lines: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], ("---",) * len(lines[0]), *lines[1:]])


def write(command: str, path: Path, *parts: str) -> None:
    """Put tables, captions and pictures between the markers."""
    before, after = split(command, path)
    body = "\n\n".join(parts)
    path.write_text(f"{before}\n{body}\n\n{after}")


def _markers(command: str) -> tuple[str, str]:
    return f"<!-- {command} -->", f"<!-- /{command} -->"
