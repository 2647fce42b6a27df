"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scratchnet import backends
from scratchnet.columns import numbered
from scratchnet.course import Lesson, find, kernels
from scratchnet.ops import BACKENDS, OPS, PRIMITIVES, Op

WIDTH = 172  # of tables that do not go to a terminal
PAGE = 100  # of prose: longer lines are hard to read


def add_operator(parser: argparse.ArgumentParser) -> None:
    """The argument that names one primitive or operator."""
    choices = dict.fromkeys((*PRIMITIVES, *OPS))
    what = f"one primitive ({', '.join(PRIMITIVES)}) or one operator (default: all)"
    parser.add_argument("primitive", nargs="?", choices=choices, metavar="primitive", help=what)


def add_backend(parser: argparse.ArgumentParser, default: str) -> None:
    """The option that names backends; its help mentions `default`."""
    what = f"{', '.join(BACKENDS)}, or one rung such as cpp:1; may be repeated (default: {default})"
    parser.add_argument("--backend", action="append", type=_backend, metavar="NAME", help=what)


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option that says where the tensors are."""
    parser.add_argument("--device", default="cpu", type=_device, choices=["cpu", "cuda"], help="(default: %(default)s)")


def _device(name: str) -> str:
    if name == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError("torch finds no GPU here; Triton's kernels run on CPU tensors too: --device cpu")
    return name


def _backend(name: str) -> str:
    if name == backends.TORCH:
        raise argparse.ArgumentTypeError(f"torch's own is what the others are compared with: choose from {', '.join(BACKENDS)}")
    try:
        backends.backend(name)
    except (ValueError, RuntimeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name


def positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"needs a whole number of 1 or more, got {text!r}")
    return int(text)


def lesson(text: str) -> Lesson | kernels.Exercise:
    """A lesson by its number, or a kernel exercise by its (K01, P1), for argparse."""
    try:
        return kernels.find(text) if text[:1].isalpha() else find(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def lesson_or_file(text: str) -> Lesson | kernels.Exercise | Path:
    """A lesson or a kernel exercise by its number, or the path of a file, for argparse."""
    return Path(text) if Path(text).suffix else lesson(text)


def operators(args: argparse.Namespace) -> list[Op]:
    """The operators that the argument of `add_operator` names, or all."""
    return [op for op in OPS.values() if args.primitive in (None, op.name, op.primitive)]


def rungs(op: Op, device: str, named: list[str] | None) -> list[str]:
    """The backends and rungs that have kernels for an operator: among those named, or else all that can run here.

    A kernel with several of the names counts once: a rung above an operator's last means the last.
    """
    if not named:
        return backends.runnable(op, device)
    first: dict[tuple[str, int], str] = {}
    for name in named:
        column, _ = backends.parse(name)
        if rung := numbered(op, column).get(name):
            first.setdefault((column, rung), name)
    return [*first.values()]


def print_absent(screen: Console, device: str, named: list[str] | None) -> None:
    """Print a sentence for each backend that cannot run here on tensors of that device, unless backends were named."""
    for column, facts in BACKENDS.items():
        reason = backends.missing(column) or (device not in facts.devices and f"it runs on {facts.devices[0]} tensors")
        if reason and not named:
            screen.print(f"{column} does not run here: {reason}", markup=False)


def console() -> Console:
    """The terminal, or wide lines where there is none."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH)


def page() -> Console:
    """The terminal for prose: no wider than a page."""
    screen = Console()
    return Console(width=min(PAGE, screen.width) if screen.is_terminal else PAGE)


def progress(screen: Console) -> Progress:
    """A progress bar that vanishes when it is full."""
    parts = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*parts, console=screen, transient=True)
