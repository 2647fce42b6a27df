"""Exercise 33: compare after rounding, add up wide, check before dividing, and only the share can be won."""

import torch

from scratchnet.course import drawn, task


def vanished(vanishes):
    weight = drawn(torch.tensor([1.0, 1.0, 256.0, 0.001, -1.0]))
    update = drawn(torch.tensor([0.001, 0.01, 1.0, 0.001, -0.003]))
    return {
        "bfloat16": vanishes(weight.bfloat16(), update).tolist(),
        "float16": vanishes(weight.half(), update).tolist(),
    }


@task(
    facts=vanished,
    hints=(
        "Add, round to the dtype of the weight, and compare with the weight.",
        "weight.float() + update is exact enough; .to(weight.dtype) rounds.",
        "return (weight.float() + update).to(weight.dtype) == weight",
    ),
)
def vanishes(weight, update):
    return (weight.float() + update).to(weight.dtype) == weight


@vanishes.mistake
def not_rounded(weight, update):
    """The sum was compared in float32, where no update vanishes: round it to the dtype of the weight first."""
    return weight.float() + update == weight.float()


@vanishes.mistake
def whole_step(weight, update):
    """Compared with a whole step, eps. Rounding goes to the nearest, so half a step is enough to move; and steps grow with the
    weight."""
    return update.abs() < torch.finfo(weight.dtype).eps


@vanishes.mistake
def the_others(weight, update):
    """That is which updates do change something: the other way round."""
    return (weight.float() + update).to(weight.dtype) != weight


def averaged(mean):
    results = {}
    for dtype in (torch.bfloat16, torch.float16):
        ones = mean(torch.ones(5000, dtype=dtype))
        results[f"5000 ones in {dtype}"] = float(ones)
        results[f"its dtype for {dtype}"] = ones.dtype
    results["40 float16 numbers of 60000"] = float(mean(torch.full((40,), 60000.0, dtype=torch.float16)))
    return results


@task(
    facts=averaged,
    hints=(
        "Widen first, add up, divide, and round at the very end.",
        "x.float() is float32; .to(x.dtype) rounds.",
        "return (x.float().sum() / len(x)).to(x.dtype)",
    ),
)
def mean(x):
    return (x.float().sum() / len(x)).to(x.dtype)


@mean.mistake
def summed_in_sixteen_bits(x):
    """The sum was made in 16 bits, number by number: it stands still, or is infinite. x.float() before the sum."""
    total = torch.zeros((), dtype=x.dtype)
    for value in x:
        total = total + value
    return total / len(x)


@mean.mistake
def rounded_before_dividing(x):
    """The sum was rounded to 16 bits before it was divided: 40 x 60000 is infinity in float16. Divide first, then round."""
    return x.float().sum().to(x.dtype) / len(x)


@mean.mistake
def left_wide(x):
    """The result is float32: the next layer expects the dtype of x. Round at the end, .to(x.dtype)."""
    return x.float().sum() / len(x)


def stepped(scaled_step):
    good = [drawn(torch.tensor([6.0, 3.0])).half(), drawn(torch.tensor([1e-4])).half()]
    facts = {}
    for name, grads in {
        "good gradients, times a million": good,
        "an infinite one": [good[0], torch.tensor([1.0, 70000.0]).half()],
        "a NaN": [drawn(torch.tensor([torch.nan, 1.0])).half(), good[1]],
    }.items():
        gradients, scale = scaled_step(grads, 1024.0)
        facts[name] = gradients if gradients is None else [g * 1e6 for g in gradients]
        facts[f"the scale after {name}"] = float(scale)
    return facts


@task(
    facts=stepped,
    hints=(
        "Two cases: all numbers are finite, or not all.",
        "g.isfinite().all() for each gradient; g.float() / scale, widened before it is divided.",
        "if all(g.isfinite().all() for g in grads): return [g.float() / scale for g in grads], scale; else None and scale / 2",
    ),
)
def scaled_step(grads, scale):
    if all(g.isfinite().all() for g in grads):
        return [g.float() / scale for g in grads], scale
    return None, scale / 2


@scaled_step.mistake
def divided_in_sixteen_bits(grads, scale):
    """Divided in float16, where small gradients become 0 again or lose their digits: widen first, g.float() / scale."""
    if all(g.isfinite().all() for g in grads):
        return [(g / scale).float() for g in grads], scale
    return None, scale / 2


@scaled_step.mistake
def not_divided(grads, scale):
    """The gradients are still those of scale x loss: divide by the scale."""
    if all(g.isfinite().all() for g in grads):
        return [g.float() for g in grads], scale
    return None, scale / 2


@scaled_step.mistake
def nan_passes(grads, scale):
    """A NaN passes: it is not infinite, but not finite either. Ask for isfinite()."""
    if not any(g.isinf().any() for g in grads):
        return [g.float() / scale for g in grads], scale
    return None, scale / 2


@scaled_step.mistake
def scale_kept(grads, scale):
    """The step is left out, but the scale stays, so the next one overflows too: return scale / 2."""
    if all(g.isfinite().all() for g in grads):
        return [g.float() / scale for g in grads], scale
    return None, scale


@task(
    facts=lambda speedup: {
        "10%, twice as fast": float(speedup(0.1, 2.0)),
        "half, 4 times": float(speedup(0.5, 4.0)),
        "all of it, 3 times": float(speedup(1.0, 3.0)),
        "nothing of it": float(speedup(0.0, 100.0)),
    },
    hints=(
        "Let the whole take 1. What is the new time of the part, and of the rest?",
        "The rest takes 1 - share as before, the part share / factor.",
        "return 1 / (1 - share + share / factor)",
    ),
)
def speedup(share, factor):
    return 1 / (1 - share + share / factor)


@speedup.mistake
def rest_forgotten(share, factor):
    """The rest of the program, 1 - share, still takes its time: add it."""
    return factor / share if share else 1.0


@speedup.mistake
def time_not_speed(share, factor):
    """That is the new time. How many times as fast is 1 / time."""
    return 1 - share + share / factor


@speedup.mistake
def weighted_factor(share, factor):
    """Factors cannot be averaged: add up times, then turn the sum over."""
    return 1 - share + share * factor
