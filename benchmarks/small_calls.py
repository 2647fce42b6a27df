"""Layers with so little to do that a call is most of it, in torch.nn and in scratchnet.nn: inference and training, in turns.

Where torch's own function is the faster one for a small tensor, ours calls it. What is left is a function in Python in front of
it, and the way a layer finds its parameters.
"""

import argparse
from types import ModuleType
from typing import Callable

import torch
from torch import Tensor

import scratchnet.nn
from scratchnet.cli import markdown
from scratchnet.measure import machine
from scratchnet.measure.bench import Spread, interleave

LAYERS: dict[str, tuple[Callable[[ModuleType], torch.nn.Module], tuple[int, ...]]] = {  # name -> how it is made, its input
    "Linear(16, 16)": (lambda nn: nn.Linear(16, 16), (4, 16)),
    "Embedding(100, 16)": (lambda nn: nn.Embedding(100, 16), (4,)),
    "EmbeddingBag(100, 16)": (lambda nn: nn.EmbeddingBag(100, 16, mode="sum"), (1, 4)),
    "LayerNorm(16)": (lambda nn: nn.LayerNorm(16), (4, 16)),
    "RMSNorm(16)": (lambda nn: nn.RMSNorm(16), (4, 16)),
    "Softmax(-1)": (lambda nn: nn.Softmax(-1), (4, 16)),
    "GELU()": (lambda nn: nn.GELU(), (4, 16)),
    "SiLU()": (lambda nn: nn.SiLU(), (4, 16)),
    "Conv2d(1, 6, 5), LeNet's first": (lambda nn: nn.Conv2d(1, 6, 5, padding=2), (1, 1, 28, 28)),
    "MaxPool2d(2), after it": (lambda nn: nn.MaxPool2d(2), (1, 6, 28, 28)),
    "Conv2d(6, 16, 5), LeNet's second": (lambda nn: nn.Conv2d(6, 16, 5), (1, 6, 14, 14)),
    "Conv2d(6, 6, 3)": (lambda nn: nn.Conv2d(6, 6, 3), (1, 6, 14, 14)),
    "BatchNorm2d(6)": (lambda nn: nn.BatchNorm2d(6), (1, 6, 14, 14)),
    "GRU(16, 16), one step": (lambda nn: nn.GRU(16, 16), (1, 1, 16)),
    "LSTM(16, 16), one step": (lambda nn: nn.LSTM(16, 16), (1, 1, 16)),
}
LOOKED_UP = (torch.nn.Embedding, torch.nn.EmbeddingBag)  # layers of indices


def calls(make: Callable[[ModuleType], torch.nn.Module], shape: tuple[int, ...], nn: ModuleType) -> tuple[Callable, Callable]:
    """Inference and a step without an optimizer, of a layer with weights of a fixed seed; inference returns its result."""
    torch.manual_seed(0)
    layer = make(nn)
    x = torch.randint(100, shape) if isinstance(layer, LOOKED_UP) else torch.randn(shape).requires_grad_()

    def result() -> Tensor:
        y = layer(x)
        return y if isinstance(y, Tensor) else y[0]

    def inference() -> Tensor:
        layer.eval()
        with torch.inference_mode():
            return result()

    def step() -> None:
        layer.train()
        result().sum().backward()

    return inference, step


def line(name: str, seconds: float) -> tuple[str, ...]:
    """One line of the table."""
    (ours, our_step), (theirs, their_step) = (calls(*LAYERS[name], nn) for nn in (scratchnet.nn, torch.nn))
    error = (ours() - theirs()).abs().max().item()
    cells = [name]
    for one, other in ((ours, theirs), (our_step, their_step)):
        times = interleave({"ours": one, "torch": other}, seconds, "cpu", cold=False)
        cells += [f"{Spread.of(times['ours']).median * 1e6:.2f}", str(Spread.ratio(times["torch"], times["ours"]))]
    return (*cells, f"{error:.0e}")


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and with --readme write into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short look")
    markdown.add_readme("small calls", parser)
    args = parser.parse_args(argv)
    lines = [("layer", "inference, us", "x torch", "step, us", "x torch", "difference")]
    lines += [line(name, 0.01 if args.quick else 1.0) for name in LAYERS]
    caption = (
        f"{machine.measured(machine.facts(), 'cpu')} Float32. x torch: the time of torch.nn's layer / ours, median (quartiles) "
        "of runs in turns; above 1 we are faster. A step: the result, its sum, backward. Difference: the largest from torch's."
    )
    markdown.report("small calls", args.readme, lines, caption)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
