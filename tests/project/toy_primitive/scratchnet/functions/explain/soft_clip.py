"""Why a call of soft_clip is wrong."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import check_float, fail


def soft_clip(input: Tensor, limit: float) -> None:
    check_float("soft_clip", "input", input)
    fail(ValueError, "soft_clip", "limit", f"must be positive, got {limit}")
