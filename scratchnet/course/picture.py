"""The pictures of a lesson as SVG files, in the folder `pictures` of the current directory; a notebook shows them too."""

from __future__ import annotations

import functools
import itertools
import sys
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
from torch import Tensor

from scratchnet import figures
from scratchnet.course.scalar import Value
from scratchnet.optional import need

FOLDER = Path("pictures")


def saved(width: float, height: float) -> Callable:
    """Turn `draw(figure, ...) -> (title, words)` into a function `(name, ...)` that saves its picture, of this size in inches,
    and prints its path.

    words: what the picture shows, for those who cannot see it. Without matplotlib it prints how to get it: a lesson carries on
    without its pictures.
    """

    def decorate(draw: Callable) -> Callable:
        @functools.wraps(draw)
        def call(name: str, *args, **options) -> None:
            try:
                need(f"the picture {name}", "matplotlib", "matplotlib")
            except ImportError as error:
                print(error)
                return
            from matplotlib.figure import Figure

            figure = Figure(figsize=(width, height), layout="constrained")
            title, words = draw(figure, *args, **options)
            path = FOLDER / f"{name}.svg"
            figures.save(figure, path, title, words)
            print(f"picture: {path}")
            _show(path)

        return call

    return decorate


def _show(path: Path) -> None:
    """In a notebook, the picture itself."""
    if (loaded := sys.modules.get("IPython")) and loaded.get_ipython():
        loaded.display.display(loaded.display.SVG(filename=str(path)))


@saved(9, 4)
def curves(
    figure, panels: dict[str, dict[str, tuple[Sequence, Sequence]]], x: str, y: str = "", log: bool = False
) -> tuple[str, str]:
    """Panels side by side: title -> name of the curve -> (x, y). log: y on a logarithmic scale."""
    words = []
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for style, (name, line) in zip(itertools.cycle(figures.STYLES), lines.items(), strict=False):
            axes.plot(*line, label=name, linestyle=style)
            places, heights = (np.asarray(part, dtype=np.float64) for part in line)
            ends = [f"{heights[end]:.3g} at {x} {places[end]:.3g}" for end in (0, -1)]
            extremes = f"lowest {np.nanmin(heights):.3g}, highest {np.nanmax(heights):.3g}"
            words.append(f"{title}, {name}: from {' to '.join(ends)}, {extremes}.")
        axes.set(title=title, xlabel=x, ylabel=y, yscale="log" if log else "linear")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return f"{' and '.join(panels)}{f', {y}' if y else ''} over {x}", " ".join(words)


@saved(7, 4)
def graph(figure, result: Value, names: dict[str, Value]) -> tuple[str, str]:
    """What a value was computed from, inputs on the left; the number on each arrow is how fast its target moves with its
    source. names: those of results in the text; inputs know theirs."""
    history = result.history()
    called = {value: value.name for value in history} | {value: name for name, value in names.items()}
    steps = dict.fromkeys(history, 0)  # value -> the most arrows from it to the result
    for value in reversed(history):  # each before its parents
        for parent, _ in value.parents:
            steps[parent] = max(steps[parent], steps[value] + 1)
    columns = [[value for value in history if steps[value] == step] for step in range(max(steps.values()), -1, -1)]
    places = {
        value: (2 * place, (len(column) - 1) / 2 - row)
        for place, column in enumerate(columns)
        for row, value in enumerate(column)
    }
    skips = max(steps[parent] - steps[value] for value in history for parent, _ in value.parents)
    low = (1 - max(map(len, columns))) / 2 - 0.5
    high = max(-low, 0.3 * skips + 0.3 if skips > 1 else 0)  # room for the arcs
    width = 2 * len(columns)
    figure.set_size_inches(1.15 * width, 1.15 * (high - low) + 0.4)
    axes = figure.subplots()
    axes.set_title("on an arrow: how fast its target moves with its source", fontsize="medium")
    axes.set(aspect="equal", xlim=(-0.9, width - 1.1), ylim=(low, high))
    axes.axis("off")
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "C0"}
    boxes = {}
    for value, place in places.items():
        words = f"{_formula(value, called)}\n{value.data:g}\ngrad {value.grad:g}"
        boxes[value] = axes.text(*place, words, ha="center", va="center", bbox=box)
    for value, (x, y) in places.items():
        for parent, derivative in value.parents:
            left, height = places[parent]
            bend = 0.3 * (steps[parent] - steps[value] > 1)  # around the values in between
            style = {"arrowstyle": "-|>", "color": "gray", "shrinkA": 1, "shrinkB": 1, "connectionstyle": f"arc3,rad={-bend}"}
            style |= {"patchA": boxes[parent].get_bbox_patch(), "patchB": boxes[value].get_bbox_patch()}
            axes.annotate("", (x, y), (left, height), arrowprops=style)
            top = (left + x - bend * (y - height)) / 2, (height + y + bend * (x - left)) / 2  # the middle of the arc
            plate = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(*top, f"{derivative:g}", ha="center", va="center", color="C3", bbox=plate)
    arrows = [f"{called[parent]} to {called[value]}: {d:g}" for value in history for parent, d in value.parents]
    values = [f"{_formula(value, called)}, {value.data:g}, grad {value.grad:g}" for value in history]
    return f"The computation graph of {called[result]}", f"Values: {'; '.join(values)}. Arrows: {'; '.join(arrows)}."


def _formula(value: Value, called: dict[Value, str]) -> str:
    """An input's name; for a result what it was computed from, such as "p = x * y"."""
    if not value.parents:
        return called[value] or "constant"
    first, *others = (called[parent] or f"{parent.data:g}" for parent, _ in value.parents)
    how = f"{value.name}({first})" if value.name.isidentifier() else " ".join((first, value.name, *others))
    return how if called[value] == value.name else f"{called[value]} = {how}"


@saved(9, 2.6)
def attention(figure, weights: Tensor, tokens: Sequence[str]) -> tuple[str, str]:
    """One map per head, weights (heads, T, T): row t shows how much token t takes from each token. The scale ends at the
    largest weight below the first row, which holds a 1: that token has nothing else to ask."""
    panels = figure.subplots(1, len(weights), sharey=True, squeeze=False)[0]
    for head, (axes, part) in enumerate(zip(panels, weights.tolist(), strict=True), start=1):
        image = axes.imshow(part, vmin=0, vmax=weights[:, 1:].max().item(), cmap="Blues")
        places = range(len(tokens))
        axes.set(title=f"head {head}", xlabel="is asked", xticks=places, xticklabels=tokens, yticks=places, yticklabels=tokens)
    panels[0].set_ylabel("asks")
    figure.colorbar(image, ax=panels, label="weight")
    most = [
        f"Head {head}: "
        + ", ".join(
            f"{token} ({t + 1}) takes most from {tokens[row.argmax()]} ({row.argmax() + 1})"
            for t, (token, row) in enumerate(zip(tokens, part, strict=True))
        )
        + "."
        for head, part in enumerate(weights, start=1)
    ]
    return "Attention weights, one map per head", " ".join(most)
