"""A ladder as a picture: how fast each rung is, and its way under the roofline."""

from __future__ import annotations

from pathlib import Path

from scratchnet import figures
from scratchnet.measure import ladder, roofline
from scratchnet.measure.bench import Measurement
from scratchnet.measure.ladder import Rung
from scratchnet.optional import need

THEIRS = "torch's own"


def plot(steps: list[Rung], results: dict[str, Measurement], path: str | Path) -> str:
    """Draw what each timed rung reaches beside torch's own in a PNG or SVG file, and return it in words.

    Bars: the pace, in both directions, of a call that moves the least. Below, a point for each rung where its flops per byte
    put it, with the bytes of all its passes, and an arrow to the next. ValueError if nothing was timed, ImportError if
    matplotlib is missing.
    """
    need("scratchnet.measure.ladder_plot", "matplotlib", "matplotlib")
    from matplotlib.figure import Figure

    timed = [step for step in steps if step.name in results and results[step.name].timings]
    if not timed:
        raise ValueError("there is no ladder to draw without a rung that was timed")
    first = results[timed[0].name]
    high = 1.2 + 0.45 * len(timed)
    figure = Figure(figsize=(9, high + 4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(high, 4))
    words = _bars(above, timed, results) + _path(below.subplots(), timed, results)
    title = f"{first.op}, {first.rows}x{first.columns}, {first.dtype}"
    figure.suptitle(title)
    described = " ".join(words)
    figures.save(figure, path, f"The rungs of {title}", described)
    return described


def _bars(figure, timed: list[Rung], results: dict[str, Measurement]) -> list[str]:
    """The pace of every rung and of torch's own, forward and both ways."""
    first = results[timed[0].name]
    flops = all(timing.compute_bound for timing in first.timings)
    unit, amount = ("GFLOP/s", "flops") if flops else ("GB/s", "bytes")
    roof = (first.timings[0].roof.arithmetic if flops else first.timings[0].roof.bandwidth) / 1e9
    names, words = [f"{step.name}  {step.idea}" for step in timed] + [THEIRS], []
    for number, axes in enumerate(figure.subplots(1, 2, sharey=True)):
        timings = [results[step.name].timings[number] for step in timed]
        seconds = [t.seconds.median for t in timings] + [timings[-1].torch_seconds.median]
        speeds = [getattr(timings[0], amount) / s / 1e9 for s in seconds]
        bars = axes.barh(names, speeds, color=["C0"] * len(timed) + ["lightgray"], edgecolor="black")
        bars[-1].set_hatch("//")
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # on the roof's line too
        axes.bar_label(bars, [f"{speed:.3g}" for speed in speeds], padding=3, bbox=plate)
        axes.axvline(roof, color="black", linestyle="--")
        axes.set(title=timings[0].direction, xlabel=f"{unit}; dashed: the roof, {roof:.3g}", xlim=(0, 1.2 * max(roof, *speeds)))
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        listed = "; ".join(f"{name.replace('  ', ' ')}: {speed:.3g}" for name, speed in zip(names, speeds, strict=True))
        words.append(f"{timings[0].direction.capitalize()}, in {unit}: {listed}.")
    figure.axes[0].invert_yaxis()  # of both: they share it
    return words


def _path(axes, timed: list[Rung], results: dict[str, Measurement]) -> list[str]:
    """From rung to rung under the roofline, forward and backward together."""
    both = {step.name: results[step.name].timings[1] for step in timed}
    points = {}
    for step in timed:
        cost = ladder.moved(step, results[step.name])
        t = both[step.name]
        points[step.name] = t.flops / (cost.forward_bytes + cost.backward_bytes), t.gigaflops
    last = both[timed[-1].name]
    points[THEIRS] = last.intensity, last.flops / last.torch_seconds.median / 1e9
    *ours, theirs = points.values()
    roofline.draw_roof(axes, last.roof, [x for x, _ in points.values()], [y for _, y in points.values()])
    axes.set_ylabel("GFLOP/s, forward+backward")
    axes.set_xlabel("FLOP / byte, counting every pass over a tensor; above the slope the bytes come from a cache")
    axes.scatter(*zip(*ours, strict=True), color="C0", zorder=3)
    axes.scatter(*theirs, color="black", marker="x", s=60, zorder=4)
    for start, end in zip(ours, ours[1:], strict=False):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "C0", "shrinkA": 4, "shrinkB": 4})
    roofline.name_points(axes, points, arrows=len(ours) - 1)
    listed = ", ".join(f"{name} ({x:.2g} FLOP/byte, {y:.3g} GFLOP/s)" for name, (x, y) in points.items())
    return [f"Under the roof of {roofline.limits(last.roof)}: {listed}."]
