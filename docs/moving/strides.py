"""Strides and broadcasting: five views of the same twelve numbers, and where in memory each element lies."""

from itertools import product
from typing import Any

import torch

MEMORY = torch.arange(12)  # each number is its own position, so an element's value says where torch found it
VIEWS = {
    "x = arange(12).view(3, 4)": MEMORY.view(3, 4),
    "x.t()": MEMORY.view(3, 4).t(),
    "x[:, 1:3]": MEMORY.view(3, 4)[:, 1:3],
    "x[::2]": MEMORY.view(3, 4)[::2],
    "x[1].expand(3, 4)": MEMORY.view(3, 4)[1].expand(3, 4),
}


def data() -> dict[str, Any]:
    """The views as torch describes them: shape, strides, offset."""
    return {
        "memory": len(MEMORY),
        "views": [
            {"name": name, "shape": list(x.shape), "strides": list(x.stride()), "offset": x.storage_offset()}
            for name, x in VIEWS.items()
        ],
    }


def expected() -> list[dict[str, Any]]:
    """Step by step: the view, the index and the position in memory, read from the tensors themselves."""
    return [
        {"view": name, "index": list(index), "position": x[index].item()}
        for name, x in VIEWS.items()
        for index in product(*map(range, x.shape))
    ]


def still() -> str:
    """The line of memory and each view's shape, strides and offset."""
    cells = "".join(
        f'<rect x="{4 + 30 * i}" y="4" width="28" height="28"/><text x="{18 + 30 * i}" y="23">{i}</text>'
        for i in range(len(MEMORY))
    )
    lines = "".join(
        f'<text class="left" x="4" y="{62 + 42 * i}">{v["name"]}</text><text class="left" x="4" y="{80 + 42 * i}">'
        f"shape {tuple(v['shape'])}, strides {tuple(v['strides'])}, offset {v['offset']}</text>"
        for i, v in enumerate(data()["views"])
    )
    label = "Twelve numbers in memory and five views of them"
    return f'<svg viewBox="0 0 366 262" role="img" aria-label="{label}">{cells}{lines}</svg>'
