"""The mask of dropout, made from a seed and a place: that of attention and of whole tensors."""

from __future__ import annotations

import triton
import triton.language as tl

from scratchnet.kernels import launch  # noqa: F401  decides whether Triton compiles or interprets


@triton.jit
def kept(seed, row, j, threshold, factor, ACC: tl.constexpr):
    """z of dropout, row and j of shapes that broadcast: the bits of csrc/ops/dropout.h."""
    x = tl.load(seed).to(tl.uint64) + (row + 1).to(tl.uint64) * 0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    x = x ^ (x >> 31)
    bits = j.to(tl.uint32) + x.to(tl.uint32)
    bits = ((bits ^ (bits >> 16)) * 0x7FEB352D) ^ (x >> 32).to(tl.uint32)
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    bits = bits ^ (bits >> 16)
    return (bits.to(tl.int64) >= threshold).to(ACC) * tl.full([1], factor, ACC)  # tl.where would make float32 of a Python float
