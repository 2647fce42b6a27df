"""16 bits: what a kernel may round to them, and how more is noticed.

The inputs are exact, so the bound has nothing of their ulps, only of float32's: 4 x torch's error + 4 ulp of the row's largest
entry. That leaves room for a kernel that rounds what it computes on the way, element by element. A number on which a whole row
depends, a sum or a statistic, has to stay in float32. If it does not, one of these shows it:

steps of 1   the numbers are so far from 0 that 16 bits have steps of 1 there, and their standard deviation is 1: a mean that is
             rounded to them is off by up to half a deviation, some 25 ulp of the row's largest entry in bfloat16
steps of 8   a logsumexp that is rounded to them is off by more than the loss
all 0.7      a sum of 1,025 equal terms that is rounded after each stands still, or goes on in steps that are 2% too large
long rows    roundings of elements are independent: in a row of d the median of the relative errors strays from 0 by some
             u / sqrt(d), where u is half an ulp of 1. A sum or a statistic that is rounded moves it by up to u, in each row
             otherwise; a factor that all rows have in common does not count
"""

from __future__ import annotations

import torch
from torch import Tensor

from scratchnet.measure.verify import Call, Rule

RULE = Rule(times_torch=4, ulps=4, by_row=True, exact_inputs=True)
STEPS_OF_1, STEPS_OF_8, ALL_EQUAL = "where 16 bits have steps of 1", "where 16 bits have steps of 8", "all numbers 0.7"
VALUES = {
    STEPS_OF_1: lambda x: x + 1.5 / torch.finfo(x.dtype).eps,
    STEPS_OF_8: lambda x: x + 12 / torch.finfo(x.dtype).eps,
    ALL_EQUAL: lambda x: torch.full_like(x, 0.7),
}
MEANS = {  # what it probably means to be wrong there
    STEPS_OF_1: "a number on which a row depends, such as its mean, is rounded to 16 bits, whose steps are as wide here as the "
    "row's own spread: keep it in float32",
    STEPS_OF_8: "a number on which a row depends, such as its maximum or its logsumexp, is rounded to 16 bits, in steps of 8: "
    "keep it in float32",
    ALL_EQUAL: "a sum is rounded to 16 bits again and again, and stands still once a term is less than half a step: add in "
    "float32",
    "": "more is rounded to 16 bits than a result: compute in float32, and round what you return",
}
STEPS = (STEPS_OF_1, STEPS_OF_8)
LONG, INTERPRETED = (6, 2000), (6, 500)  # rows and columns whose factors are compared; in Triton's interpreter
UNEVEN = "each row is off by a factor of its own: its sum or its statistics are rounded to 16 bits. Keep those in float32"
APART = 4.5  # the standard deviation of those factors, in u / sqrt(d)


def meaning(dtype: torch.dtype, where: str, usual: dict[str, str], error: float) -> str | None:
    """What it probably means to be wrong by this fraction there, in 16 bits and not before; usual: of this operator."""
    asked = next((value for value in VALUES if value in where), "")
    if torch.finfo(dtype).bits != 16 or not (asked or error < 0.5):
        return None
    return usual.get(asked, MEANS[asked])


def uneven(call: Call, results: tuple[Tensor | None, ...]) -> bool:
    """Whether long rows of a result are off by factors that differ more than roundings of elements explain."""
    return any(
        ours.shape == exact.shape and exact.dim() > 1 and exact.shape[-1] >= INTERPRETED[1] and _spread(ours, exact) > APART
        for ours, exact in zip(results, call.exact, strict=True)
        if ours is not None
    )


def _spread(ours: Tensor, exact: Tensor) -> float:
    """The standard deviation of the factors by which rows are off, in u / sqrt(d); 0 where most numbers are subnormal."""
    ours, exact, bits = ours.detach().cpu().double(), exact.detach().cpu(), torch.finfo(ours.dtype)
    coarse = exact.abs() < bits.smallest_normal
    if coarse.double().mean() > 0.5:
        return 0.0
    off = ((ours - exact) / exact).masked_fill(coarse, torch.nan).flatten(0, -2).nanmedian(-1).values
    return off.std().item() / (bits.eps / 2) * exact.shape[-1] ** 0.5
