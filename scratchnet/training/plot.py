"""The curves of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from scratchnet.optional import need
from scratchnet.training.fit import History


def plot(history: History, path: str | Path) -> None:
    """Draw "loss" and, if there, "val_loss" over the epochs in a PNG file; ImportError if matplotlib is missing."""
    need("scratchnet.training.plot", "matplotlib", "matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name in ("loss", "val_loss"):
        if name in history:
            axes.plot(range(1, len(history[name]) + 1), history[name], label=name)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.savefig(path, format="png", dpi=150)
