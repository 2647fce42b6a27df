"""The roofline: matmul's rungs as they were measured, what the roof allows a layer, and a kernel of one's own."""

import re
from pathlib import Path
from typing import Any

import torch

from scratchnet import ops

PAGE = Path(__file__).resolve().parent.parent / "matmul.md"
BATCHES = [2**i for i in range(13)]  # of the layer: x (batch, width), weight (4 width, width)
WIDTHS = [128, 256, 512, 768, 1024, 2048, 4096, 8192]
WIDTH = 768  # until a reader chooses another
FORMS = ["linear, then GELU", "linear + GELU fused"]
OWN = {"bytes": 10**6, "flops": 10**7}
NUMBER = r"([\d.]+)"


def measured() -> tuple[float, float, list[dict[str, Any]]]:
    """The roof in GB/s and GFLOP/s, and each rung's FLOP/byte and GFLOP/s, as `scratchnet ladder` wrote them into its page."""
    found = re.search(rf"Under the roof of {NUMBER} GB/s, {NUMBER} GFLOP/s: (.*)\]\(", PAGE.read_text(encoding="utf-8"))
    assert found, "docs/matmul.md has no measured ladder"
    rungs = re.findall(rf"(cpp:\d+) \({NUMBER} FLOP/byte, {NUMBER} GFLOP/s\)", found[3])  # torch's own is no rung
    points = [{"name": name, "intensity": float(intensity), "gflops": float(pace)} for name, intensity, pace in rungs]
    return float(found[1]), float(found[2]), points


def layer(batch: int, width: int, fused: bool) -> dict[str, int]:
    """Bytes and operations of a linear layer with GELU, as two calls or as one, from the operators' costs."""
    x, weight = torch.empty(batch, width, device="meta"), torch.empty(4 * width, width, device="meta")
    bias, z = torch.empty(4 * width, device="meta"), torch.empty(batch, 4 * width, device="meta")
    linear, gelu = ops.OPS["linear"].cost(x, weight, bias), ops.OPS["gelu"].cost(z)
    return {
        "bytes": linear.forward_bytes + (0 if fused else gelu.forward_bytes),
        "flops": linear.forward_flops + gelu.forward_flops,
    }


def data() -> dict[str, Any]:
    """The roof, the rungs, and the layer in every form, width and batch."""
    bandwidth, peak, rungs = measured()
    layers = [[[layer(batch, width, fused) for batch in BATCHES] for width in WIDTHS] for fused in (False, True)]
    return {
        "bandwidth": bandwidth, "peak": peak, "rungs": rungs, "own": OWN, "layers": layers,
        "forms": FORMS, "batches": BATCHES, "widths": WIDTHS, "width": WIDTH,
    }  # fmt: skip


def point(name: str, cost: dict[str, int]) -> dict[str, Any]:
    """What the roof allows: operations per byte, GFLOP/s and the least time in seconds."""
    bandwidth, peak, _ = measured()
    intensity = cost["flops"] / cost["bytes"]
    roof = min(peak, bandwidth * intensity)
    return {"name": name, "intensity": intensity, "pace": roof, "roof": roof, "seconds": cost["flops"] / (roof * 1e9)}


def expected() -> list[dict[str, Any]]:
    """One step for each rung, as measured; one for each batch of the layer, not fused; one for the kernel of one's own."""
    bandwidth, peak, rungs = measured()
    steps = [
        {
            "name": rung["name"],
            "intensity": rung["intensity"],
            "pace": rung["gflops"],
            "roof": min(peak, bandwidth * rung["intensity"]),
        }
        for rung in rungs
    ]
    steps += [point(f"{FORMS[0]}, batch {batch}, width {WIDTH}", layer(batch, WIDTH, False)) for batch in BATCHES]
    return [*steps, point("your kernel", OWN)]


def still() -> str:
    """A table of the points."""
    lines = "".join(
        f'<text class="left" x="4" y="{20 + 22 * i}">{step["name"]}</text>'
        f'<text class="left" x="260" y="{20 + 22 * i}">{step["pace"]:.3g} of {step["roof"]:.3g}</text>'
        for i, step in enumerate(expected()[:-1])
    )
    label = "Points under the roof: GFLOP/s, of those that the roof allows"
    return f'<svg viewBox="0 0 366 {10 + 22 * len(expected())}" role="img" aria-label="{label}">{lines}</svg>'
