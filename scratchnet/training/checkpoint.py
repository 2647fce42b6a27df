"""Everything that a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write `state` and the states of torch's random generators; a reader sees the old file or the new one, never half of one."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".unfinished")
    torch.save(state | {"random": _random()}, unfinished)
    os.replace(unfinished, path)


def load(path: str | Path) -> dict[str, Any]:
    """Read what `save` wrote and put the random generators back. Only tensors and plain values are loaded, never code."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    torch.set_rng_state(state["random"]["cpu"])
    if state["random"]["cuda"]:
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    return state


def _random() -> dict[str, Any]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}
