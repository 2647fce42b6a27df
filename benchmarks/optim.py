"""A step of AdamW on 1, 10 and 100 million parameters: ours beside torch's foreach and fused ones, in turns.

Before the timing each takes some steps from the same start, and its parameters are compared with the same steps in float64. On
10 million also AdamW with clipping and AdamW8bit, both beside torch's AdamW, and Muon beside torch's.
"""

import argparse
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from scratchnet import optim
from scratchnet.cli import markdown
from scratchnet.measure import machine
from scratchnet.measure.bench import Spread, interleave
from scratchnet.optim.rule import Rule

SHAPE = (1000, 1000)  # of each parameter
COUNTS, QUICK = (1, 10, 100), (1,)  # how many of them
MOVED = 7 * 4  # bytes for a number: parameter, gradient and both moments are read, all but the gradient written
STEPS = 3  # that are compared with float64
FOREACH, FUSED, OURS = "torch, foreach", "torch, fused", "scratchnet"
OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    FOREACH: lambda params: torch.optim.AdamW(params, foreach=True),
    FUSED: lambda params: torch.optim.AdamW(params, fused=True),
    OURS: optim.AdamW,
}


class Clipping:
    """An optimizer whose step brings the norm of the gradients down to 1 first: in its own pass, torch's in one before."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def step(self) -> None:
        if isinstance(self.optimizer, Rule):
            self.optimizer.step(max_norm=1.0)
        else:
            torch.nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 1.0)
            self.optimizer.step()


CLIPPING = {name: lambda params, make=make: Clipping(make(params)) for name, make in OPTIMIZERS.items()}
MUON = {FOREACH: torch.optim.Muon, OURS: optim.Muon}  # torch has a single one
OTHERS = [  # name, what is timed, bytes for a number, whether its result should be AdamW's
    ("AdamW, clipped", CLIPPING, MOVED + 4, False),
    ("AdamW8bit", OPTIMIZERS | {OURS: optim.AdamW8bit}, 3 * 4 + 4 + 4 * 4 / 256, True),
    ("Muon", MUON, None, False),
]


def stepping(make: Callable[[Iterable[Tensor]], torch.optim.Optimizer], count: int, dtype=torch.float32) -> tuple:
    """The step of an optimizer of `count` parameters with constant gradients, and the first parameter; the same numbers."""
    generator, params = torch.Generator().manual_seed(0), []
    for _ in range(count):
        values, grad = (torch.randn(SHAPE, generator=generator).to(dtype) for _ in range(2))
        params.append(values.requires_grad_())
        params[-1].grad = grad
    return make(params).step, params[0]


def error(step: Callable, param: Tensor) -> float:
    """The largest difference of a parameter from the one that float64 arrives at, after some steps."""
    exact_step, exact = stepping(lambda params: torch.optim.AdamW(params, foreach=False), 1, torch.float64)
    for _ in range(STEPS):
        step(), exact_step()
    return (param - exact).abs().max().item()


def measure(count: int, makers: dict[str, Callable], seconds: float) -> dict[str, tuple[list[float], float]]:
    """Name -> the times of a step in turns, and the error."""
    made = {name: stepping(make, count) for name, make in makers.items()}
    errors = {name: error(*both) for name, both in made.items()}
    times = interleave({name: step for name, (step, _) in made.items()}, seconds, "cpu", cold=False)
    return {name: (times[name], errors[name]) for name in made}


def line(name: str, count: int, makers: dict[str, Callable], moved: float | None, seconds: float, judged: bool) -> tuple:
    """One line of the table."""
    results = measure(count, makers, seconds)
    ours, took = results[OURS][0], Spread.of(results[OURS][0]).median
    ratios = [str(Spread.ratio(results[other][0], ours)) if other in results else "" for other in (FOREACH, FUSED)]
    errors = " / ".join(f"{results[other][1]:.0e}" for other in (OURS, FOREACH, FUSED) if judged)
    numbers = count * SHAPE[0] * SHAPE[1]
    moves = f"{moved * numbers / took / 1e9:.1f} GB/s" if moved else ""
    return name, f"{numbers:,}", f"{took * 1e3:.3g}", moves, *ratios, errors


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a million parameters only")
    markdown.add_readme("optim", parser)
    args = parser.parse_args(argv)
    lines = [("step", "parameters", "ms", "moves", "x foreach", "x fused", "error: ours / foreach / fused")]
    seconds = 0.3 if args.quick else 5.0
    for count in QUICK if args.quick else COUNTS:
        lines.append(line("AdamW", count, OPTIMIZERS, MOVED, seconds, True))
    for name, makers, moved, judged in OTHERS:
        lines.append(line(name, 1 if args.quick else 10, makers, moved, seconds, judged))
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} Float32, in parameters of {SHAPE[0]}x{SHAPE[1]}. x: the time of "
        "torch.optim.AdamW(foreach=True) or (fused=True) / ours, median (quartiles) of steps in turns; above 1 we are faster. "
        "Clipped: torch's after clip_grad_norm_, ours with step(max_norm=1). AdamW8bit: beside torch's AdamW. Muon: beside "
        f"torch's, of which there is one. Moves: for AdamW {MOVED} bytes a parameter. Error: largest difference from AdamW in "
        f"float64 after {STEPS} steps, in the first parameter."
    )
    markdown.report("optim", args.readme, lines, caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
