"""The roofline of a device with a dot for every measured call: how far each is from the device's limits.

Samuel Williams et al., Roofline: an insightful visual performance model, https://doi.org/10.1145/1498765.1498785
"""

from __future__ import annotations

from pathlib import Path

from scratchnet import figures
from scratchnet.measure.bench import Measurement
from scratchnet.measure.roof import Roof
from scratchnet.ops import PRIMITIVES
from scratchnet.optional import need


def plot(results: list[Measurement], path: str | Path) -> None:
    """Draw FLOP/s over FLOP per byte, forward+backward, ours and torch's own, in a PNG or SVG file.

    ValueError if nothing was timed, ImportError if matplotlib is missing.
    """
    need("scratchnet.measure.roofline", "matplotlib", "matplotlib")
    from matplotlib.figure import Figure

    timed = [(result, timing) for result in results for timing in result.timings]
    calls = [(result, t) for result, t in timed if t.direction == "forward+backward" and t.cache == "warm" and t.flops]
    if not calls:
        raise ValueError("there is no roofline without a call that computes something and was timed")
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    theirs = [t.flops / t.torch_seconds.median / 1e9 for _, t in calls]
    roof = calls[0][1].roof
    ridge = roof.arithmetic / roof.bandwidth  # FLOP per byte from which arithmetic is the limit
    draw_roof(axes, roof, [ridge, *(t.intensity for _, t in calls)], [t.gigaflops for _, t in calls] + theirs)
    axes.set(xlabel="FLOP / byte", ylabel="GFLOP/s, forward+backward")
    words = []
    for number, primitive in enumerate(PRIMITIVES):
        if ours := [t for result, t in calls if result.primitive == primitive]:
            x, color, marker = [t.intensity for t in ours], f"C{number}", figures.MARKERS[number % len(figures.MARKERS)]
            axes.scatter(x, [t.gigaflops for t in ours], color=color, marker=marker, label=primitive)
            others = [t.flops / t.torch_seconds.median / 1e9 for t in ours]
            axes.scatter(x, others, edgecolor=color, facecolor="none", marker=marker, s=25)
            pairs = [
                f"{t.gigaflops:.3g} at {t.intensity:.2g} (torch {other:.3g})" for t, other in zip(ours, others, strict=True)
            ]
            words.append(f"{primitive}: {', '.join(pairs)}.")
    axes.scatter([], [], edgecolor="gray", facecolor="none", s=25, label="hollow: torch's own")
    axes.legend()
    figures.save(figure, path, "The roofline of this machine", f"GFLOP/s at FLOP per byte. {' '.join(words)}")


def draw_roof(axes, roof: Roof, x: list[float], y: list[float]) -> None:
    """Draw the limits of the device where the points (x, y) are, on logarithmic axes that end a little beyond these."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    left, right = min(x) / 2, max(x) * 2
    ridge = roof.arithmetic / roof.bandwidth
    places = sorted((left, min(max(ridge, left), right), right))
    heights = [min(at * roof.bandwidth, roof.arithmetic) / 1e9 for at in places]
    axes.plot(places, heights, color="black")
    axes.text(0.01, 0.97, f"line: the roof, {limits(roof)}", transform=axes.transAxes, va="top")
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(min(y) / 2, max(*y, *heights) * 1.5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def limits(roof: Roof) -> str:
    return f"{roof.bandwidth / 1e9:.0f} GB/s, {roof.arithmetic / 1e9:.0f} GFLOP/s"


def name_points(axes, points: dict[str, tuple[float, float]], arrows: int) -> None:
    """Write each point's name beside it, where there is no other name or point and none of the arrows, which go from each of
    the first `arrows` points to the next."""
    axes.figure.figure.draw_without_rendering()  # the layout: from here on places are pixels
    frame, pixels = axes.get_window_extent(), axes.transData.transform(list(points.values()))
    taken = [(x, y, 8, 8) for x, y in pixels]  # centre, width, height
    for start, end in zip(pixels, pixels[1 : arrows + 1], strict=False):
        taken += [(*(start + part / 50 * (end - start)), 2, 2) for part in range(51)]
    for (name, point), (x, y) in zip(points.items(), pixels, strict=True):
        wide, high = 7 * len(name) + 8, 14
        sides = [(dx * (wide / 2 + 8), dy) for dy in (0, 14, -14, 28, -28, 42, -42) for dx in (1, -1)]
        inside = [side for side in sides if frame.x0 < x + side[0] - wide / 2 and x + side[0] + wide / 2 < frame.x1]
        free = [side for side in inside if not any(_meet((x + side[0], y + side[1], wide, high), other) for other in taken)]
        dx, dy = (free or sides)[0]
        taken.append((x + dx, y + dy, wide, high))
        offset = dx * 72 / axes.figure.figure.dpi, dy * 72 / axes.figure.figure.dpi
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # on the roof's line, under points and arrows
        axes.annotate(name, point, offset, textcoords="offset points", ha="center", va="center", bbox=plate, zorder=2.5)


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Whether two boxes, given by their centres and sizes, overlap."""
    return abs(a[0] - b[0]) < (a[2] + b[2]) / 2 and abs(a[1] - b[1]) < (a[3] + b[3]) / 2
