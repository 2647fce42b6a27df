"""The losses of hidden states, forward and backward: torch's operations on whole logits, and ours on a few rows at a time.

In turns, with the largest difference of their gradients; then the peak memory of a call, each in a process of its own.
"""

import argparse
import functools
import math
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as TF
from torch import Tensor

from scratchnet.cli import markdown
from scratchnet.measure import machine
from scratchnet.measure.bench import Spread, interleave
from scratchnet.nn import functional as F
from scratchnet.ops.cross_entropy import LINEAR_CROSS_ENTROPY

SIZES = {"tokens": 1024, "words": 32000, "width": 512}
QUICK = {"tokens": 300, "words": 100, "width": 32}
SEQUENCES = 4  # pairs of chosen and rejected ones: twice as many


def jensen_shannon(x: Tensor, w: Tensor, teacher_x: Tensor, teacher_w: Tensor, beta: float) -> Tensor:
    """TRL's generalized_jsd_loss, on whole logits."""
    log_p, log_q = TF.linear(x, w).log_softmax(1), TF.linear(teacher_x, teacher_w).log_softmax(1)
    divergence = functools.partial(TF.kl_div, reduction="batchmean", log_target=True)
    log_m = torch.logaddexp(log_p + math.log(1 - beta), log_q + math.log(beta))
    return beta * divergence(log_m, log_q) + (1 - beta) * divergence(log_m, log_p)


def log_probs(x: Tensor, w: Tensor, target: Tensor) -> Tensor:
    """The log-probability of each sequence, on whole logits."""
    rows = TF.linear(x, w).log_softmax(-1).gather(1, target.unsqueeze(1))
    return rows.reshape(2 * SEQUENCES, -1).sum(1)


def preferences(log_p: Tensor) -> Tensor:
    """DPO with a reference that finds all sequences equally likely."""
    reference = torch.zeros(SEQUENCES)
    return F.dpo_loss(*log_p.chunk(2), reference, reference)


def losses(tokens: int, words: int, width: int) -> tuple[dict[str, tuple[Callable, Callable]], list[Tensor]]:
    """Name -> torch's loss and ours, functions of hidden states and head; and those two."""
    torch.manual_seed(0)
    tokens -= tokens % (2 * SEQUENCES)
    x, teacher_x = torch.randn(2, tokens, width)
    w, teacher_w = torch.randn(2, words, width) / width**0.5
    target = torch.randint(words, (tokens,))
    sequences = lambda t: t.reshape(2 * SEQUENCES, -1, *t.shape[1:])
    capped = {"z_loss": 1e-4, "softcap": 30.0}
    own = functools.partial(LINEAR_CROSS_ENTROPY.torch, target=target, **capped)
    ours = functools.partial(F.linear_cross_entropy, target=target, **capped)
    found = {
        "z_loss, softcap": (own, ours),
        "the same, statistics": (lambda x, w: own(x, w, statistics={}), lambda x, w: ours(x, w, statistics={})),
        "DPO": (
            lambda x, w: preferences(log_probs(x, w, target)),
            lambda x, w: preferences(F.linear_sequence_log_prob(sequences(x), w, sequences(target))),
        ),
    }
    teacher = {"teacher_input": teacher_x, "teacher_weight": teacher_w}
    found["distillation, beta 0.5"] = (
        lambda x, w: jensen_shannon(x, w, teacher_x, teacher_w, 0.5),
        lambda x, w: F.linear_distillation(x, w, **teacher, beta=0.5),
    )
    return found, [x.requires_grad_(), w.requires_grad_()]


def step(function: Callable, inputs: list[Tensor]) -> Callable[[], list[Tensor]]:
    """A function that returns the loss and its gradients."""

    def call() -> list[Tensor]:
        loss = function(*inputs)
        return [loss.detach(), *torch.autograd.grad(loss, inputs)]

    return call


def peak(name: str, side: int, sizes: dict[str, int]) -> int:
    """Bytes that a call adds to this process at its peak, results included."""
    found, inputs = losses(**sizes)
    return runpy.run_path(str(Path(__file__).with_name("step.py")))["added"](step(found[name][side], inputs))


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--peak", nargs=2, metavar=("LOSS", "SIDE"), help="only print a peak, in bytes; side 0 is torch's")
    markdown.add_readme("hidden_states", parser)
    args = parser.parse_args(argv)
    sizes = QUICK if args.quick else SIZES
    if args.peak:
        print(peak(args.peak[0], int(args.peak[1]), sizes))
        return 0
    found, inputs = losses(**sizes)
    command = [sys.executable, __file__, *(["--quick"] if args.quick else []), "--peak"]
    lines = [("loss", "torch ms", "ours ms", "x torch", "difference", "torch MB", "ours MB")]
    for name, pair in found.items():
        steps = {side: step(function, inputs) for side, function in zip(("whole", "rows"), pair, strict=True)}
        own, mine = (call() for call in steps.values())
        apart = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(mine, own, strict=True))
        times = interleave(dict(steps), 0.2 if args.quick else 4.0, "cpu", False)
        peaks = ["not measured here"] * 2
        if sys.platform == "linux":
            run = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
            peaks = [f"{int(run([*command, name, str(side)]).stdout) / 1e6:.0f}" for side in range(2)]
        medians = [f"{Spread.of(took).median * 1e3:.1f}" for took in times.values()]
        lines.append((name, *medians, str(Spread.ratio(*times.values())), f"{apart:.0e}", *peaks))
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} {sizes['tokens']} tokens, {sizes['words']} words, width {sizes['width']}, "
        "float32. x torch: torch's time / ours, median (quartiles) of calls in turns. Difference: largest one of loss and "
        f"gradients, relative to the largest. MB: peak of a call, with the gradients that it returns "
        f"({4 * sizes['width'] * (sizes['words'] + sizes['tokens']) / 1e6:.0f} MB); one float32 tensor of whole logits is "
        f"{4 * sizes['words'] * sizes['tokens'] / 1e6:.0f} MB."
    )
    markdown.report("hidden_states", args.readme, lines, caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
