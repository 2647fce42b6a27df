"""Everything that a run needs to continue as if it had never stopped, in one file."""

from __future__ import annotations

import hashlib
import os
from copy import deepcopy
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Generator

from scratchnet.training import parallel

_MARK = b"scratchnet sha256 "  # then the digest of all before it: the end of the file, which torch.load ignores


def save(path: str | Path, stateful: dict[str, Any], generator: Generator | None, values: dict[str, Any]) -> None:
    """Write the state_dict of everything in `stateful`, torch's random states and `values`.

    A reader sees the old file or the new one, never half of one, even if the machine stops in between. OSError if the disk
    is full or the path cannot be written. Of several processes the first one writes, after all have given it their parts.
    """
    everything = _everything(stateful, generator)
    state = parallel.whole({name: thing.state_dict() for name, thing in everything.items()} | values)
    if parallel.rank() > 0:
        return
    unfinished = Path(f"{path}.unfinished")
    try:
        with open(unfinished, "w+b") as file:
            torch.save(state, file)
            file.write(_MARK + _digest(file, file.tell()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from None  # torch's writer says only that something was not written
        raise


def load(path: str | Path, stateful: dict[str, Any], generator: Generator | None, values: dict[str, type]) -> dict[str, Any]:
    """Restore what `save` wrote and return all of it. Only tensors and plain values are read, never code.

    values: the names and types of the plain values that must be there. ValueError, with nothing changed, for a file that is
    damaged in even one byte, that `save` did not write or that belongs to something else.
    """
    state, everything = _read(path), _everything(stateful, generator)
    for name, kind in {**dict.fromkeys(everything, dict), **values}.items():
        if not isinstance(state.get(name), kind):
            raise ValueError(f"fit: the checkpoint {path} holds no {name}: it belongs to another run, or fit did not write it")
    before = {name: deepcopy(thing.state_dict()) for name, thing in everything.items()}
    for name, thing in everything.items():
        try:
            _check_options(state[name], before[name])
            thing.load_state_dict(parallel.split(state[name], thing))
        except Exception as error:  # of any type: the file's content decides how load_state_dict fails
            for other, changed in everything.items():
                changed.load_state_dict(before[other])
            raise ValueError(f"fit: the checkpoint {path} does not fit this {name}: {error}") from error
    return state


class _Random:
    """torch's random states and that of the batches' generator, behind a model's state_dict methods."""

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
    """What is in the file, if its digest is right: torch does not check the checksums that it writes."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END) - len(_MARK) - 64
            digest = _MARK + _digest(file, max(end, 0))
            if end < 0 or file.read() != digest:
                raise ValueError("its bytes do not match its checksum")
        state = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
    except (OSError, MemoryError):  # says what happened
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        hint = "Resume from a copy of it, or start afresh without resume=True"
        raise ValueError(f"fit: the checkpoint {path} is damaged, or fit did not write it: {reason}. {hint}") from error
    return state


def _digest(file: BinaryIO, size: int) -> bytes:
    """The SHA-256 of the first `size` bytes, in 64 hexadecimal digits; the file is left at the byte after them."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(min(size - file.tell(), 2**20)):
        digest.update(chunk)
    return digest.hexdigest().encode()


def _check_options(state: dict[str, Any], own: dict[str, Any]) -> None:
    """ValueError for the state of another kind of optimizer: load_state_dict would fill in what it lacks, or fail later."""
    for group, own_group in zip(state.get("param_groups", ()), own.get("param_groups", ()), strict=False):
        if missing := sorted(own_group.keys() - group.keys()):
            raise ValueError(f"options {', '.join(missing)} are missing: it belongs to another kind")
