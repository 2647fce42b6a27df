"""A training step of a small language model: embedding, LayerNorm, feed-forward, head, loss, AdamW.

The same code with torch.nn, with scratchnet.nn, and with the head and the loss in one operator: in turns, on one thread up to
all of them. Then the peak memory of a step beyond what is held between steps, each in a process of its own.
"""

import argparse
import functools
import subprocess
import sys
from collections.abc import Callable

import torch

from scratchnet import nn, optim
from scratchnet.cli import markdown
from scratchnet.measure import machine, memory
from scratchnet.measure.bench import Spread, interleave

TORCH, OURS, FUSED = "torch.nn", "scratchnet.nn", "linear_cross_entropy"
SIZES = {"tokens": 2048, "words": 16000, "width": 512}
QUICK = {"tokens": 64, "words": 100, "width": 32}


def training_step(name: str, tokens: int, words: int, width: int) -> Callable[[], float]:
    """A function that takes one step and returns the loss; the same seed for each name."""
    layers, optimizers = (torch.nn, torch.optim) if name == TORCH else (nn, optim)
    torch.manual_seed(0)
    body = layers.Sequential(
        layers.Embedding(words, width), layers.LayerNorm(width), layers.Linear(width, 4 * width), layers.GELU(),
        layers.Linear(4 * width, width), layers.LayerNorm(width),
    )  # fmt: skip
    head = layers.Linear(width, words)
    optimizer = optimizers.AdamW([*body.parameters(), *head.parameters()], lr=1e-3)
    x, y = torch.randint(words, (2, tokens))

    def step() -> float:
        optimizer.zero_grad()
        h = body(x)
        if name == FUSED:
            loss = layers.functional.linear_cross_entropy(h, head.weight, y, linear_bias=head.bias)
        else:
            loss = layers.functional.cross_entropy(head(h), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def peak(name: str, sizes: dict[str, int]) -> int:
    """Bytes that a step adds to this process at its peak. Linux only."""
    return added(training_step(name, **sizes))


def added(step: Callable[[], object]) -> int:
    """Bytes that a call adds to this process at its peak, after two that do not count. Linux only."""
    step(), step()  # from here on threads, libraries and the optimizer's state exist
    return memory.peak(step)


def times(sizes: dict[str, int], seconds: float) -> list[tuple[str, ...]]:
    """One line per number of threads and library: the time, alone, compared with torch.nn and compared with one thread."""
    most, alone, lines = torch.get_num_threads(), {}, []
    try:
        for threads in range(1, most + 1):
            torch.set_num_threads(threads)
            steps = {None if name == TORCH else name: training_step(name, **sizes) for name in (TORCH, OURS, FUSED)}
            measured = interleave(steps, seconds, "cpu", False)
            for name, took in measured.items():
                spread = Spread.of(took)
                alone.setdefault(name, spread.median)
                ratio, scaling = str(Spread.ratio(measured[None], took)), f"{alone[name] / spread.median:.2f}"
                lines.append((str(threads), name or TORCH, f"{spread.median * 1e3:.1f}", ratio if name else "1", scaling))
    finally:
        torch.set_num_threads(most)
    return lines


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny model")
    parser.add_argument("--peak", choices=(TORCH, OURS, FUSED), help="only print the peak memory of one, in bytes")
    markdown.add_readme("step", parser)
    args = parser.parse_args(argv)
    sizes = QUICK if args.quick else SIZES
    if args.peak:
        print(peak(args.peak, sizes))
        return 0
    header = ("threads", "with", "ms", "x torch", "x one thread", "peak MB")
    command = [sys.executable, __file__, *(["--quick"] if args.quick else []), "--peak"]
    if sys.platform == "linux":
        run = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
        peaks = {name: f"{int(run([*command, name]).stdout) / 1e6:.0f}" for name in (TORCH, OURS, FUSED)}
    else:
        peaks = dict.fromkeys((TORCH, OURS, FUSED), "not measured here")
    lines = [(*line, peaks[line[1]]) for line in times(sizes, 1.0 if args.quick else 20.0)]
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} A step of {sizes['tokens']} tokens, {sizes['words']} words, width "
        f"{sizes['width']}, float32. x torch: torch.nn's time / this one, median (quartiles) of steps in turns; x one thread: "
        "the time on one thread / this one. Peak: memory that a step takes beyond parameters, gradients and optimizer state "
        "that stay, on all threads."
    )
    markdown.report("step", args.readme, [header, *lines], caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
