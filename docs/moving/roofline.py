"""The roofline: matmul's rungs as they were measured, and what the roof allows a linear layer with GELU, fused and not."""

import re
from pathlib import Path
from typing import Any

import torch

from scratchnet import ops

PAGE = Path(__file__).resolve().parent.parent / "matmul.md"
WIDTH = 768  # of the layer: x (batch, WIDTH), weight (4 WIDTH, WIDTH)
BATCHES = (1, 16, 256, 4096)
NUMBER = r"([\d.]+)"


def measured() -> tuple[float, float, list[dict[str, Any]]]:
    """The roof in GB/s and GFLOP/s, and each rung's FLOP/byte and GFLOP/s, as `scratchnet ladder` wrote them into its page."""
    found = re.search(rf"Under the roof of {NUMBER} GB/s, {NUMBER} GFLOP/s: (.*)\]\(", PAGE.read_text(encoding="utf-8"))
    assert found, "docs/matmul.md has no measured ladder"
    rungs = re.findall(rf"([\w:' ]+) \({NUMBER} FLOP/byte, {NUMBER} GFLOP/s\)", found[3])
    points = [
        {"name": name.strip(), "measured": True, "intensity": float(intensity), "gflops": float(pace)}
        for name, intensity, pace in rungs
    ]
    return float(found[1]), float(found[2]), points


def layers() -> list[dict[str, Any]]:
    """Bytes and operations of a linear layer with GELU, as two calls and as one, from the operators' costs."""
    points = []
    for batch in BATCHES:
        x, weight = torch.empty(batch, WIDTH, device="meta"), torch.empty(4 * WIDTH, WIDTH, device="meta")
        bias, z = torch.empty(4 * WIDTH, device="meta"), torch.empty(batch, 4 * WIDTH, device="meta")
        linear, gelu = ops.OPS["linear"].cost(x, weight, bias), ops.OPS["gelu"].cost(z)
        for name, apart in (("linear, then GELU", gelu.forward_bytes), ("linear + GELU fused", 0)):
            points.append(
                {
                    "name": f"{name}, batch {batch}",
                    "measured": False,
                    "bytes": linear.forward_bytes + apart,
                    "flops": linear.forward_flops + gelu.forward_flops,
                }
            )
    return points


def data() -> dict[str, Any]:
    """The roof, and the points in the order of the steps."""
    bandwidth, peak, rungs = measured()
    return {"bandwidth": bandwidth, "peak": peak, "points": rungs + layers()}


def expected() -> list[dict[str, Any]]:
    """One step for each point: operations per byte, GFLOP/s (measured, or all that the roof allows), what the roof allows."""
    bandwidth, peak, rungs = measured()
    steps = []
    for point in rungs + layers():
        intensity = point["intensity"] if point["measured"] else point["flops"] / point["bytes"]
        roof = min(peak, bandwidth * intensity)
        steps.append({"name": point["name"], "intensity": intensity, "pace": point.get("gflops", roof), "roof": roof})
    return steps


def still() -> str:
    """A table of the points."""
    lines = "".join(
        f'<text class="left" x="4" y="{20 + 22 * i}">{step["name"]}</text>'
        f'<text class="left" x="230" y="{20 + 22 * i}">{step["pace"]:.3g} of {step["roof"]:.3g}</text>'
        for i, step in enumerate(expected())
    )
    label = "Points under the roof: GFLOP/s, of those that the roof allows"
    return f'<svg viewBox="0 0 366 {10 + 22 * len(expected())}" role="img" aria-label="{label}">{lines}</svg>'
