"""Exercise 32: how many programs, which places, where a tile is in memory, and what a tiled product moves.

Each `...` is a blank for you to fill in. Then: scratchnet check 32
"""

import torch


def programs(n: int, block: int) -> int:
    """How many programs n numbers need in blocks of `block`. No numbers need none."""
    return ...


def places(program: int, block: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of a program, (block,) int64, and their mask, (block,) bool: whether they are below n."""
    places = ...
    return places, ...


def addresses(i: torch.Tensor, j: torch.Tensor, strides: tuple[int, int]) -> torch.Tensor:
    """Where the numbers (i, j) of a tile lie: rows i (R,), columns j (C,) -> (R, C). One step down is strides[0] numbers."""
    return ...


def bytes_loaded(M: int, K: int, N: int, block: int) -> int:
    """What (M, K) @ (K, N) in float32 loads in tiles of block x block. All three are multiples of the block."""
    return ...
