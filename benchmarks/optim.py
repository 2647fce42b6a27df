"""A step of AdamW on 1, 10 and 100 million parameters: ours beside torch's foreach and fused ones, in turns.

Before the timing each takes some steps from the same start, and its parameters are compared with the same steps in float64.
"""

import argparse
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from scratchnet import optim
from scratchnet.cli import markdown
from scratchnet.measure import machine
from scratchnet.measure.bench import Spread, interleave

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


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a million parameters only")
    markdown.add_readme("optim", parser)
    args = parser.parse_args(argv)
    lines = [("parameters", "ms", "moves", "x foreach", "x fused", "error: ours / foreach / fused")]
    for count in QUICK if args.quick else COUNTS:
        results = measure(count, OPTIMIZERS, 0.3 if args.quick else 5.0)
        ours, took = results[OURS][0], Spread.of(results[OURS][0]).median
        ratios = [str(Spread.ratio(results[name][0], ours)) for name in (FOREACH, FUSED)]
        errors = " / ".join(f"{results[name][1]:.0e}" for name in (OURS, FOREACH, FUSED))
        numbers = count * SHAPE[0] * SHAPE[1]
        lines.append((f"{numbers:,}", f"{took * 1e3:.3g}", f"{MOVED * numbers / took / 1e9:.1f} GB/s", *ratios, errors))
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} AdamW, float32, in parameters of {SHAPE[0]}x{SHAPE[1]}. x: the time of "
        "torch.optim.AdamW(foreach=True) or (fused=True) / ours, median (quartiles) of steps in turns; above 1 we are faster. "
        f"Moves: {MOVED} bytes a parameter. Error: largest difference from float64 after {STEPS} steps, in the first parameter."
    )
    markdown.report("optim", args.readme, lines, caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
