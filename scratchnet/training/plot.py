"""The curves of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from scratchnet import figures
from scratchnet.optional import need
from scratchnet.training.fit import History


def plot(history: History, path: str | Path) -> None:
    """Draw "loss" and, if there, "val_loss" over the epochs in a PNG or SVG file; ImportError if matplotlib is missing."""
    need("scratchnet.training.plot", "matplotlib", "matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    words = []
    for name, style in zip(("loss", "val_loss"), figures.STYLES, strict=False):
        if losses := history.get(name):
            axes.plot(range(1, len(losses) + 1), losses, style, label=name)
            words.append(f"{name}: {losses[0]:.4g} after epoch 1, {losses[-1]:.4g} after epoch {len(losses)}.")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figures.save(figure, path, "The losses of a run", " ".join(words))
