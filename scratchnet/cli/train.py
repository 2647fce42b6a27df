"""`scratchnet train digits`: train a classifier of scratchnet layers on real digits, alone or beside its torch twin."""

from __future__ import annotations

import argparse
import contextlib
import math

import torch
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from scratchnet.backends import backend
from scratchnet.cli import options
from scratchnet.data import Split, digits
from scratchnet.training import Comparison, Epoch, classifier, compare, fit

GOAL = 0.97  # held-out accuracy
BATCH_SIZE = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet train`."""
    parser.add_argument("job", choices=["digits"], help="what to train on: scikit-learn's 1,797 handwritten digits")
    parser.add_argument("--backend", metavar="NAME", help="run every primitive on it, e.g. cpp:1 (default: the fastest)")
    parser.add_argument("--compare", action="store_true", help="train the same model in torch.nn beside it, from the same seed")
    parser.add_argument(
        "--epochs", type=options.positive, default=20, help="passes over the training data (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=options.positive, default=1, help="more only help larger models (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the parameters and the batches (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train and report; 1 if the twins disagree by more than rounding. Ends with one sentence if data or backend is missing."""
    try:
        train, test = digits()
        chosen = backend(args.backend) if args.backend else contextlib.nullcontext()
    except (ImportError, ValueError, RuntimeError) as error:
        raise SystemExit(f"scratchnet train: {error}") from error
    torch.set_num_threads(args.threads)  # products of this size are too small to share: waiting for a thread costs more
    console = options.console()
    console.print(
        f"[bold]digits[/bold]: {len(train.y)} images to train on, {len(test.y)} held out; "
        f"backend: {args.backend or 'the fastest of each primitive'}; threads: {args.threads}"
    )
    if args.compare:
        return _compare(console, args, train, test)
    with chosen:
        return _fit(console, args, train, test)


def _compare(console: Console, args: argparse.Namespace, train: Split, test: Split) -> int:
    columns = ("epoch", "loss, ours", "loss, torch", "difference", "accuracy, ours", "accuracy, torch")
    steps = args.epochs * math.ceil(len(train.y) / BATCH_SIZE)
    with _screen(console, columns, steps, "training two twins, step by step") as (table, advance):

        def on_epoch(result: Comparison) -> None:
            ours, theirs = result.ours[-1], result.torch[-1]
            losses = f"{ours.loss:.6f}", f"{theirs.loss:.6f}", f"{abs(ours.loss - theirs.loss):.1e}"
            table.add_row(str(len(result.ours)), *losses, _percent(ours.accuracy), _percent(theirs.accuracy))

        result = compare(
            train,
            test,
            backend=args.backend,
            epochs=args.epochs,
            batch_size=BATCH_SIZE,
            seed=args.seed,
            on_step=advance,
            on_epoch=on_epoch,
        )
    ours, theirs = result.ours[-1].accuracy, result.torch[-1].accuracy
    mine, yours = result.step_time
    verdict = "[green]they agree to rounding[/green]" if result.agree else "[red]more than rounding explains[/red]"
    console.print(f"held-out accuracy: ours {_percent(ours)}, torch {_percent(theirs)}; {_goal(ours)}")
    console.print(
        f"largest loss difference in {len(result.losses)} steps: {result.loss_difference:.1e} "
        f"(rounding allows {result.rounding:.1e}): {verdict}"
    )
    console.print(f"median step: ours {mine * 1e3:.3f} ms, torch {yours * 1e3:.3f} ms; ratio ours / torch {mine / yours:.2f}")
    return 0 if result.agree else 1


def _fit(console: Console, args: argparse.Namespace, train: Split, test: Split) -> int:
    torch.manual_seed(args.seed)
    with _screen(console, ("epoch", "loss", "accuracy"), args.epochs, "training") as (table, advance):

        def on_epoch(epoch: Epoch) -> None:
            table.add_row(str(table.row_count + 1), f"{epoch.loss:.6f}", _percent(epoch.accuracy))
            advance()

        history = fit(classifier(), train, test, epochs=args.epochs, batch_size=BATCH_SIZE, seed=args.seed, on_epoch=on_epoch)
    console.print(f"held-out accuracy: {_percent(history[-1].accuracy)}; {_goal(history[-1].accuracy)}")
    return 0


@contextlib.contextmanager
def _screen(console: Console, columns: tuple[str, ...], total: int, title: str):
    """A table that grows above a progress bar: yields the table and the function that moves the bar."""
    table = Table(*columns)
    for column in table.columns:
        column.justify = "right"
    progress = options.progress(console)
    task = progress.add_task(title, total=total)
    with Live(Group(table, progress), console=console):
        yield table, lambda: progress.advance(task)
    console.print()


def _percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


def _goal(accuracy: float) -> str:
    if accuracy >= GOAL:
        return f"[green]at least {GOAL:.0%}, as it should be[/green]"
    return f"[yellow]below the goal of {GOAL:.0%}; train longer with --epochs[/yellow]"
