"""`scratchnet tune`: measures where ours is faster than torch's own on this machine, for the calls that name no backend."""

from __future__ import annotations

import argparse
import gc
import os
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from scratchnet import backends, profile
from scratchnet.cli import options
from scratchnet.measure import tune
from scratchnet.ops import OPS
from scratchnet.profile import THREADS, Key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scratchnet tune`."""
    parser.add_argument("--quick", action="store_true", help="fewer sizes, some 20 s in place of two or three minutes")
    parser.add_argument("--show", action="store_true", help="measure nothing: print what decides, from where and when")
    where = "write the profile there (default: into the user's cache directory, where it is used from then on)"
    parser.add_argument("--out", type=Path, metavar="FILE", help=where)


def run(args: argparse.Namespace) -> int:
    """Measure and write, or show what is in use; 1 if a result was wrong, which is never chosen."""
    screen = options.console()
    if args.show:
        show(screen)
        return 0
    if problem := backends.missing("cpp"):
        raise SystemExit(f"scratchnet tune: there is nothing to choose from, torch's own functions run: {problem}")
    threads, points, results = torch.get_num_threads(), tune.points(OPS.values(), args.quick), []
    try:
        with options.progress(screen) as progress:
            for point in progress.track(points, description="tune"):
                if not tune.settled(point, results):
                    results.append(tune.measure(point, threads, args.quick))
    finally:
        gc.unfreeze()
        torch.set_num_threads(threads)
    path = args.out or profile.cached()
    try:
        profile.write(tune.profiled(results), path)
    except OSError as error:
        raise SystemExit(f"scratchnet tune: {path} cannot be written ({error}); --out names another file") from error
    for result in results:
        if result.wrong:
            screen.print(f"WRONG {result.wrong}", markup=False, style="red")
    profile.forget()
    screen.print(f"written: {path}", highlight=False, soft_wrap=True)
    if args.out:
        screen.print(f"SCRATCHNET_PROFILE={path} uses it", highlight=False, soft_wrap=True)
    elif os.environ.get("SCRATCHNET_PROFILE"):
        screen.print("SCRATCHNET_PROFILE is set and comes first: unset it to use what was measured", highlight=False)
    else:
        screen.print("It is used from now on; scratchnet tune --show says what it decides.", highlight=False)
    return 1 if any(result.wrong for result in results) else 0


def show(screen: Console) -> None:
    """What decides for every operator, variant and dtype, on one thread and on all of them."""
    in_use, source, ignored = profile.active()
    for line in ignored:
        screen.print(line, highlight=False, soft_wrap=True)
    screen.print(f"in use: {source}", highlight=False, soft_wrap=True)
    if in_use is None:
        return
    measured = in_use.measured
    screen.print(
        f"measured {measured['date']} on {measured['processor']}, {measured['cores']} cores, {measured['isa']} beside torch's "
        f"{measured['torch_isa']}, idle threads: {measured['policy']}; torch {measured['torch']}, "
        f"scratchnet {measured['scratchnet']}, commit {measured['commit'] or 'unknown'}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("operator", "variant", "dtype", "1 thread", "more threads")
    rows = dict.fromkeys(key[:3] for op in OPS for key in in_use.figures if key.op == op)
    for row in rows:
        table.add_row(*row, *(profile.verdict(Key(*row, threads)) for threads in THREADS))
    screen.print(table)
