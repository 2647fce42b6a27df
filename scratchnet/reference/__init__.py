"""The reference: every operator in plain, differentiable PyTorch operations, one file per part of a primitive's family.

16-bit inputs are computed in float32 and rounded once, at the end. Backwards are functions of the original inputs, so that
they can be differentiated again; nothing depends on values, so that both run under vmap, jvp and on meta tensors.
The formulas are derived in the files of the same names in `scratchnet.oracle`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def widen(x: Tensor | None) -> Tensor | None:
    """A 16-bit tensor in float32; everything else as it is."""
    return x.float() if x is not None and x.dtype in (torch.float16, torch.bfloat16) else x
