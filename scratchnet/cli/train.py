"""`scratchnet train <task>`: train a network of scratchnet layers on real data, alone or beside its torch twin."""

from __future__ import annotations

import argparse
import contextlib
import math
import time

import torch
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from scratchnet import nn, optim
from scratchnet.backends import backend
from scratchnet.cli import options
from scratchnet.optional import need
from scratchnet.training import (
    TASKS,
    Comparison,
    Task,
    accuracy,
    compare,
    fit,
    generate,
    nats,
    parallel,
    plot,
    processes,
    shard,
)

ALONE = ("checkpoint", "resume", "plot")  # options that --compare does not have


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet train`."""
    tasks = "; ".join(f"{name}: {task.__doc__}" for name, task in TASKS.items())
    parser.add_argument("task", choices=TASKS, help=tasks)
    parser.add_argument("--backend", metavar="NAME", help="run every primitive on it, e.g. cpp:1 (default: the fastest)")
    parser.add_argument("--compare", action="store_true", help="train the same model in torch.nn beside it, from the same seed")
    parser.add_argument("--epochs", type=options.positive, help="passes over the training data (default: the task's)")
    parser.add_argument("--limit", type=options.positive, metavar="N", help="train on the first N samples only (default: all)")
    parser.add_argument("--threads", type=options.positive, help="more help only larger models (default: the task's)")
    parser.add_argument("--seed", type=int, default=0, help="of the parameters and the batches (default: %(default)s)")
    parser.add_argument("--checkpoint", metavar="FILE", help="write the state of the run to it after every epoch")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint, if it exists")
    parser.add_argument("--plot", metavar="FILE", help="draw the losses: PNG, or SVG by its name")
    parser.add_argument("--shard", action="store_true", help="under torchrun: split the parameters over the processes (FSDP2)")


def run(args: argparse.Namespace) -> int:
    """Train and report; 1 if the twins disagree by more than rounding. Ends with one sentence if data or backend is missing.

    In processes that torchrun started, all train one model, and the first one reports.
    """
    with processes():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        _check(args)
        chosen = backend(args.backend) if args.backend else contextlib.nullcontext()
        task = TASKS[args.task]()
    except (ImportError, ValueError, RuntimeError) as error:
        raise SystemExit(f"scratchnet train: {error}") from error
    if args.limit:
        task = task.limit(args.limit)
    torch.set_num_threads(args.threads or task.threads or torch.get_num_threads())
    epochs = args.epochs or task.epochs
    console = options.console()
    console.quiet = parallel.rank() > 0
    several = f" in each of {parallel.count()} processes" if parallel.count() > 1 else ""
    console.print(
        f"[bold]{args.task}[/bold]: {len(task.train.y):,} samples to train on, {len(task.test.y):,} held out; "
        f"backend: {args.backend or 'the fastest of each primitive'}; threads: {torch.get_num_threads()}{several}"
    )
    if args.compare:
        return _compare(console, args, task, epochs)
    try:
        with chosen:
            return _fit(console, args, task, epochs)
    except (FloatingPointError, OSError, ValueError) as error:
        raise SystemExit(f"scratchnet train: {error}") from error


def _check(args: argparse.Namespace) -> None:
    """ValueError for options that do not fit together, ImportError for a missing package: before training, not after it."""
    for name in ALONE:
        if args.compare and getattr(args, name):
            raise ValueError(f"--{name} is for a model trained alone, without --compare")
    if args.resume and not args.checkpoint:
        raise ValueError("--resume needs --checkpoint FILE, the run to continue")
    if args.compare and parallel.count() > 1:
        raise ValueError("--compare is for one process: the twins train in lockstep")
    if args.shard and parallel.count() == 1:
        again = f"torchrun --standalone --nproc-per-node 2 -m scratchnet train {args.task} --shard"
        raise ValueError(f"--shard splits the parameters over several processes, and this is one alone: {again}")
    if args.plot:
        need("scratchnet train --plot", "matplotlib", "matplotlib")


def _fit(console: Console, args: argparse.Namespace, task: Task, epochs: int) -> int:
    torch.manual_seed(args.seed)
    model = task.model(nn)
    if args.shard:
        shard(model)
    start = time.perf_counter()
    history = fit(
        model,
        task.train,
        loss=task.loss(nn),
        optimizer=task.optimizer(optim, model),
        epochs=epochs,
        batch_size=task.batch_size,
        seed=args.seed,
        validation=task.test,
        metrics=[task.metric],
        checkpoint=args.checkpoint,
        resume=args.resume,
        progress=console,
    )
    seconds = time.perf_counter() - start
    result = history[f"val_{task.metric.__name__}"][-1]
    console.print(f"held-out {_result(task, result)} after {seconds:.1f} s; {_goal(task, result)}")
    if args.plot and parallel.rank() == 0:
        plot(history, args.plot)
    if task.vocabulary:
        _show_text(console, args, task, model)
    return 0


def _show_text(console: Console, args: argparse.Namespace, task: Task, model: torch.nn.Module) -> None:
    """Print what the language model writes: ten names, or a piece of prose."""
    generator = torch.Generator().manual_seed(args.seed)
    context = task.train.x.shape[1]
    count, length, gap = (10, 20, "  ") if args.task == "names" else (1, 300, "")
    texts = [generate(model, task.vocabulary, context, length, generator=generator) for _ in range(count)]
    console.print(f"it writes: {escape(gap.join(texts))}", highlight=False)


def _compare(console: Console, args: argparse.Namespace, task: Task, epochs: int) -> int:
    name = "nats" if task.metric is nats else task.metric.__name__
    columns = ("epoch", "loss, ours", "loss, torch", "difference", f"{name}, ours", f"{name}, torch")
    steps = epochs * math.ceil(len(task.train.y) / task.batch_size)
    with _screen(console, columns, steps, "training the twins, step by step") as (table, advance):

        def on_epoch(result: Comparison) -> None:
            ours, theirs = result.mean_losses[-1]
            losses = f"{ours:.6f}", f"{theirs:.6f}", f"{abs(ours - theirs):.1e}"
            table.add_row(str(len(result.results)), *losses, *(_number(task, value) for value in result.results[-1]))

        result = compare(task, backend=args.backend, epochs=epochs, seed=args.seed, on_step=advance, on_epoch=on_epoch)
    ours, theirs = result.results[-1]
    mine, yours = result.step_time
    verdict = "[green]they agree to rounding[/green]" if result.agree else "[red]more than rounding explains[/red]"
    console.print(f"held-out: ours {_result(task, ours)}, torch {_result(task, theirs)}; {_goal(task, ours)}")
    console.print(
        f"largest loss difference in {len(result.losses)} steps: {result.differences.max():.1e} "
        f"(rounding allows {result.rounding.max():.1e}): {verdict}"
    )
    console.print(f"predictions on the held-out data: {_percent(result.same_predictions)} the same")
    console.print(f"median step: ours {mine * 1e3:.3f} ms, torch {yours * 1e3:.3f} ms; ratio ours / torch {mine / yours:.2f}")
    return 0 if result.agree else 1


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


def _result(task: Task, value: float) -> str:
    unit = " per character" if task.metric is nats else ""
    return f"{task.metric.__name__} {_number(task, value)}{unit}"


def _number(task: Task, value: float) -> str:
    return _percent(value) if task.metric is accuracy else f"{value:.4f}"


def _percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


def _goal(task: Task, value: float) -> str:
    goal = f"{'at most' if task.metric is nats else 'at least'} {_number(task, task.goal)}"
    if task.reached(value):
        return f"[green]{goal}, as it should be[/green]"
    return f"[yellow]it should be {goal}; train longer with --epochs[/yellow]"
