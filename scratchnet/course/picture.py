"""The pictures of a lesson as PNG files, in the folder `pictures` of the current directory."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Callable, Sequence

from torch import Tensor

from scratchnet.course.scalar import Value
from scratchnet.optional import need

FOLDER = Path("pictures")


def saved(width: float, height: float) -> Callable:
    """Turn `draw(figure, ...)` into a function `(name, ...)` that saves its picture, of this size in inches, and prints its
    path.

    Without matplotlib it prints how to get it: a lesson carries on without its pictures.
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
            draw(figure, *args, **options)
            FOLDER.mkdir(exist_ok=True)
            path = FOLDER / f"{name}.png"
            figure.savefig(path, format="png", dpi=150)
            print(f"picture: {path}")

        return call

    return decorate


@saved(9, 4)
def curves(figure, panels: dict[str, dict[str, tuple[Sequence, Sequence]]], x: str, y: str = "", log: bool = False) -> None:
    """Panels side by side: title -> name of the curve -> (x, y). log: y on a logarithmic scale."""
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, line in lines.items():
            axes.plot(*line, label=name)
        axes.set(title=title, xlabel=x, ylabel=y, yscale="log" if log else "linear")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()


@saved(7, 4)
def graph(figure, result: Value) -> None:
    """What a value was computed from, inputs on the left; the number on each arrow is how fast its target moves with its
    source."""
    history = result.history()
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
    width, high = 2 * len(columns), max(map(len, columns)) / 2 + 0.2 * len(columns)
    figure.set_size_inches(1.2 * width, 2.4 * high)
    axes = figure.subplots()
    axes.set_title("on an arrow: how fast its target moves with its source")
    axes.set(aspect="equal", xlim=(-1, width - 1), ylim=(-high, high))
    axes.axis("off")
    for value, (x, y) in places.items():
        for parent, derivative in value.parents:
            left, height = places[parent]
            bend = 0.3 * (steps[parent] - steps[value] > 1)  # around the values in between
            style = {"arrowstyle": "-|>", "color": "gray", "shrinkA": 34, "shrinkB": 34, "connectionstyle": f"arc3,rad={-bend}"}
            axes.annotate("", (x, y), (left, height), arrowprops=style)
            top = (left + x - bend * (y - height)) / 2, (height + y + bend * (x - left)) / 2  # the middle of the arc
            plate = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(*top, f"{derivative:g}", ha="center", va="center", color="C3", bbox=plate)
        words = f"{value.name or 'constant'}\n{value.data:g}\ngrad {value.grad:g}"
        box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "C0"}
        axes.text(x, y, words, ha="center", va="center", bbox=box)


@saved(9, 2.6)
def attention(figure, weights: Tensor, tokens: Sequence[str]) -> None:
    """One map per head, weights (heads, T, T): row t shows how much token t takes from each token."""
    panels = figure.subplots(1, len(weights), sharey=True, squeeze=False)[0]
    for head, (axes, part) in enumerate(zip(panels, weights.tolist(), strict=True), start=1):
        image = axes.imshow(part, vmin=0, vmax=1, cmap="Blues")
        places = range(len(tokens))
        axes.set(title=f"head {head}", xlabel="is asked", xticks=places, xticklabels=tokens, yticks=places, yticklabels=tokens)
    panels[0].set_ylabel("asks")
    figure.colorbar(image, ax=panels, label="weight")
