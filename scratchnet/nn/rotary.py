"""The cosines and sines of a rotary embedding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Module

from scratchnet.functions.checks import HALVES, check_tensor, fail
from scratchnet.nn.called import Called


class RotaryEmbedding(Called, Module):
    """cos and sin (*, dim) in float32 for position_ids (*), such as (B, T): what `scratchnet.rope` turns query and key by.

    Position p turns pair j by p * base^(-2j / dim). Each angle is there twice, for both numbers of a pair: as (j, j + dim / 2),
    or as neighbours (2j, 2j + 1) if interleaved. There are no parameters and no buffers, and angles are float64 until cosine
    and sine are taken: in 16 bits they would be lost, whatever the model's dtype. torch has none; it is that of Llama, without
    the scaling of long texts. ValueError for an odd dim or a base that is not positive, RuntimeError for 16-bit or complex
    position_ids. Su et al., https://arxiv.org/abs/2104.09864.
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        if dim < 0 or dim % 2:
            fail(ValueError, "RotaryEmbedding", "dim", f"columns are turned in pairs: it must be even, got {dim}")
        if not base > 0:
            fail(ValueError, "RotaryEmbedding", "base", f"must be positive, got {base}")
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def forward(self, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        check_tensor("RotaryEmbedding", "position_ids", position_ids)
        if position_ids.dtype in HALVES or position_ids.is_complex():
            problem = f"{position_ids.dtype} cannot count tokens; they are integers: torch.arange(T)[None]"
            fail(RuntimeError, "RotaryEmbedding", "position_ids", problem)
        pairs = torch.arange(0, self.dim, 2, dtype=torch.float64, device=position_ids.device)
        angles = position_ids.double().unsqueeze(-1) * self.base ** (pairs / -max(self.dim, 1))  # (*, dim / 2)
        angles = angles.repeat_interleave(2, -1) if self.interleaved else torch.cat((angles, angles), -1)
        return angles.cos().float(), angles.sin().float()

    def extra_repr(self) -> str:
        return f"{self.dim}, base={self.base}" + (", interleaved=True" if self.interleaved else "")
