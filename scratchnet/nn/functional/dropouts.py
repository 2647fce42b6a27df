"""Dropout of whole channels."""

from __future__ import annotations

from torch import Tensor

from scratchnet.functions.checks import check_tensor, fail, warn
from scratchnet.functions.dropout import mask_saved
from scratchnet.functions.explain.dropout import check_probability


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of an (N, C, H, W) tensor, because neighbouring pixels hold the same information.

    One draw per channel. Other ranks from 2 up are taken as (N, C, ...), with torch's warning. ValueError unless 0 <= p <= 1,
    RuntimeError for a rank below 2. Tompson et al., https://arxiv.org/abs/1411.4280; torch.nn.functional.dropout2d.
    """
    check_probability("dropout2d", p)
    check_tensor("dropout2d", "input", input)
    rank = input.dim()
    if rank not in (3, 4):
        warn(
            f"dropout2d: Received a {rank}-D input to dropout2d, which is deprecated and will result in an error in a future "
            "release. It takes images, (N, C, H, W); to drop single elements use dropout.",
            stacklevel=2,
        )
    if rank == 3:
        warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
            "input is interpreted as shape (N, C, L). A single image (C, H, W) needs a batch axis: input.unsqueeze(0).",
            stacklevel=2,
        )
    if rank < 2 and training and 0 < p and input.numel():
        problem = f"Feature dropout requires at least 2 dimensions in the input, (N, C, ...), got {tuple(input.shape)}"
        fail(RuntimeError, "dropout2d", "input", problem)
    return mask_saved("dropout2d", input, p, training, inplace, (*input.shape[:2], *[1] * (rank - 2)))
