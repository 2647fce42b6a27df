"""First names: the 5,163 most frequent ones of the US census of 1990, as shipped by the package `names`."""

from __future__ import annotations

from importlib.resources import files

import torch

from scratchnet.optional import need

HELD_OUT = 516  # a tenth


def names() -> tuple[list[str], list[str]]:
    """4,647 training and 516 held-out names, letters a-z, the same split every time; ImportError if the package is missing."""
    need("scratchnet.data.names", "names", "names")
    lines = [
        line
        for part in ("female", "male")
        for line in (files("names") / f"dist.{part}.first").read_text(encoding="ascii").splitlines()
    ]
    # A line is "MARY 2.629 2.629 1"; some names are in both files.
    everyone = sorted({line.split()[0].lower() for line in lines})
    order = torch.randperm(len(everyone), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = [everyone[i] for i in order]
    return shuffled[:-HELD_OUT], shuffled[-HELD_OUT:]
