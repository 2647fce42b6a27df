"""Everything that a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import os
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Generator
from torch.utils.serialization import config


def save(path: str | Path, stateful: dict[str, Any], generator: Generator | None, values: dict[str, Any]) -> None:
    """Write the state_dict of everything in `stateful`, torch's random states and `values`.

    A reader sees the old file or the new one, never half of one, also when the machine stops in between. OSError if the disk
    is full or the place cannot be written.
    """
    state = {name: thing.state_dict() for name, thing in _everything(stateful, generator).items()} | values
    unfinished = Path(f"{path}.unfinished")
    try:
        with open(unfinished, "wb") as file, config.patch("save.compute_crc32", True):  # which `load` looks at
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from None  # torch's writer says only that something was not written
        raise


def load(path: str | Path, stateful: dict[str, Any], generator: Generator | None, values: dict[str, type]) -> dict[str, Any]:
    """Put back what `save` wrote and return all of it. Only tensors and plain values are read, never code.

    values: the names and types of the plain values that must be there. ValueError for a file that is damaged, by so much as a
    byte, that `save` did not write or that is of something else; then nothing is changed.
    """
    state, everything = _read(path), _everything(stateful, generator)
    for name, kind in {**dict.fromkeys(everything, dict), **values}.items():
        if not isinstance(state.get(name), kind):
            raise ValueError(f"fit: the checkpoint {path} holds no {name}: it is of another run, or fit did not write it")
    before = {name: deepcopy(thing.state_dict()) for name, thing in everything.items()}
    for name, thing in everything.items():
        try:
            thing.load_state_dict(state[name])
            _check_options(thing, before[name])
        except Exception as error:  # of any type: what is in the file decides where load_state_dict stumbles
            for other, changed in everything.items():
                changed.load_state_dict(before[other])
            raise ValueError(f"fit: the checkpoint {path} does not fit this {name}: {error}") from error
    return state


class _Random:
    """torch's random states, and that of the order of the batches, with the methods of a model."""

    def __init__(self, generator: Generator | None):
        self.generator = generator

    def state_dict(self) -> dict[str, Any]:
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "batches": None if self.generator is None else self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["torch"])
        if self.generator is not None:
            self.generator.set_state(state["batches"])
        if state["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])


def _everything(stateful: dict[str, Any], generator: Generator | None) -> dict[str, Any]:
    return {**stateful, "random": _Random(generator)}


def _read(path: str | Path) -> dict[str, Any]:
    """What is in the file. torch does not look at the checksums that it writes; Python's zipfile does."""
    try:
        with zipfile.ZipFile(path) as file:
            if damaged := file.testzip():
                raise ValueError(f"the checksum of its part {damaged} is wrong")
        state = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
    except (OSError, MemoryError):  # says what it is
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        mend = "Go on from a copy of it, or start afresh without resume=True"
        raise ValueError(f"fit: the checkpoint {path} is damaged, or fit did not write it: {reason}. {mend}") from error
    return state


def _check_options(thing: Any, before: dict[str, Any]) -> None:
    """KeyError for the state of another kind of optimizer, which torch takes and then misses its options in the next step."""
    for group, own in zip(getattr(thing, "param_groups", ()), before.get("param_groups", ()), strict=True):
        if missing := sorted(own.keys() - group.keys()):
            raise KeyError(f"its options {', '.join(missing)} are missing: is it of another kind?")
