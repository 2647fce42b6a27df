"""Everything that a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Generator


def save(path: str | Path, stateful: dict[str, Any], generator: Generator | None, values: dict[str, Any]) -> None:
    """Write the state_dict of everything in `stateful`, torch's random states and `values`.

    A reader sees the old file or the new one, never half of one, also when the machine stops in between.
    """
    state = {name: thing.state_dict() for name, thing in stateful.items()} | values
    state["random"] = {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "batches": None if generator is None else generator.get_state(),
    }
    unfinished = Path(f"{path}.unfinished")
    with open(unfinished, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def load(path: str | Path, stateful: dict[str, Any], generator: Generator | None) -> dict[str, Any]:
    """Put back what `save` wrote and return all of it. Only tensors and plain values are read, never code.

    ValueError for the checkpoint of something else.
    """
    state = torch.load(path, weights_only=True, map_location="cpu")
    for name, thing in stateful.items():
        try:
            thing.load_state_dict(state[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"fit: the checkpoint {path} does not fit this {name}: {error}") from error
    torch.set_rng_state(state["random"]["torch"])
    if state["random"]["cuda"]:
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    if generator is not None:
        generator.set_state(state["random"]["batches"])
    return state
