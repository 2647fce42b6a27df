"""The roofline of a device with a dot for every measured call: how far each is from the device's limits.

Samuel Williams et al., Roofline: an insightful visual performance model, https://doi.org/10.1145/1498765.1498785
"""

from __future__ import annotations

from pathlib import Path

from scratchnet.measure.bench import Measurement, Timing
from scratchnet.ops import PRIMITIVES
from scratchnet.optional import need


def plot(results: list[Measurement], path: str | Path) -> None:
    """Draw FLOP/s over FLOP per byte, forward+backward, ours and torch's own, in a PNG file.

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
    draw_roof(axes, [t for _, t in calls])
    for number, primitive in enumerate(PRIMITIVES):
        if ours := [t for result, t in calls if result.primitive == primitive]:
            x, color = [t.intensity for t in ours], f"C{number}"
            axes.scatter(x, [t.gigaflops for t in ours], color=color, label=primitive)
            axes.scatter(x, [t.flops / t.torch_seconds.median / 1e9 for t in ours], color=color, marker="x", s=20)
    axes.scatter([], [], color="gray", marker="x", s=20, label="torch's own")
    axes.legend()
    figure.savefig(path, format="png", dpi=150)


def draw_roof(axes, timings: list[Timing]) -> None:
    """Draw the limits of the device over the intensities of the calls and a little beyond."""
    roof, intensities = timings[0].roof, [t.intensity for t in timings]
    ridge = roof.arithmetic / roof.bandwidth  # FLOP per byte from which arithmetic is the limit
    x = min(*intensities, ridge) / 2, ridge, max(*intensities, ridge) * 2
    heights = [min(at * roof.bandwidth, roof.arithmetic) / 1e9 for at in x]
    axes.plot(x, heights, color="black", label=f"roof: {roof.bandwidth / 1e9:.0f} GB/s, {roof.arithmetic / 1e9:.0f} GFLOP/s")
    axes.set(xscale="log", yscale="log", xlabel="FLOP / byte", ylabel="GFLOP/s, forward+backward")
