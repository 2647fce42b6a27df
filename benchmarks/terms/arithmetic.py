"""Numbers of floating point: what rounding does to a sum, a product or a variance."""

from __future__ import annotations

import math

import numpy as np
import torch

import scratchnet
from terms import number

f32 = np.float32


def _terms(n: int) -> np.ndarray:
    return np.random.default_rng(0).random(n, dtype=f32)


@number("")
def spacing():
    """The distance from 2^24 to the next float32."""
    return float(np.spacing(f32(2**24)))


@number("")
def unit_roundoff():
    """Half the distance from 1 to the next float32."""
    return float(np.spacing(f32(1))) / 2


@number("%")
def ties_rounded_up():
    """Share of the float32 numbers from 1 to 2 halfway between two bfloat16 ones that torch rounds up."""
    ties = 1 + (torch.arange(128) + 0.5) / 128
    return float((ties.bfloat16().float() > ties).float().mean()) * 100


@number("")
def bfloat16_stuck():
    """What a bfloat16 sum of 1,000 ones comes to, each addition rounded."""
    total = torch.zeros((), dtype=torch.bfloat16)
    for _ in range(1000):
        total += 1
    return float(total)


@number("")
def largest_float16():
    """The largest finite float16."""
    return torch.finfo(torch.float16).max


@number("")
def subnormals():
    """Float32 bit patterns whose exponent is 0 and whose fraction is not, of both signs."""
    first = np.frombuffer(np.array([1], np.uint32).tobytes(), f32)[0]
    assert first == np.nextafter(f32(0), f32(1))
    return 2 * (int(np.frombuffer(np.finfo(f32).tiny.tobytes(), np.uint32)[0]) - 1)


@number("")
def kept_without_flush():
    """1e-30 times 1e-9 in float32, as this process computes it."""
    return float(torch.tensor(1e-30) * torch.tensor(1e-9))


@number("")
def largest_exponent():
    """The largest float32 x whose exp(x) is finite."""
    x = np.arange(88.0, 89.0, 1e-5, dtype=f32)
    with np.errstate(over="ignore"):
        return float(x[np.isfinite(np.exp(x))].max())


@number("")
def fused_rounding():
    """fma(a, a, -a * a) in float32 for a = 1 + 2^-12: what rounding a product has lost, which float64 shows exactly."""
    a = f32(1 + 2**-12)
    return float(np.float64(a) * np.float64(a) - np.float64(a * a))


@number("%")
def one_pass_variance():
    """Relative error of mean(x^2) - mean(x)^2 in float32 for numbers around 1,000 with a deviation of 1."""
    x = (1000 + np.random.default_rng(0).standard_normal(4096)).astype(f32)
    exact, mean = np.var(x, dtype=np.float64), x.mean(dtype=f32)
    return 100 * abs(float((x * x).mean(dtype=f32) - mean * mean) - exact) / exact


@number("%")
def welford_variance():
    """Relative error of Welford's method on the same numbers."""
    x = (1000 + np.random.default_rng(0).standard_normal(4096)).astype(f32)
    mean, squares = f32(0), f32(0)
    for count, value in enumerate(x, start=1):
        delta = value - mean
        mean = f32(mean + delta / f32(count))
        squares = f32(squares + delta * (value - mean))
    exact = np.var(x, dtype=np.float64)
    return 100 * abs(float(squares) / len(x) - exact) / exact


def _error(total, x: np.ndarray) -> float:
    """In units of the last place of the exact sum."""
    exact = x.sum(dtype=np.float64)
    return abs(float(total) - exact) / float(np.spacing(f32(exact)))


@number("ulp")
def chain_error():
    """Error of a float32 sum of 65,536 numbers between 0 and 1, one after the other."""
    x = _terms(2**16)
    return _error(np.cumsum(x)[-1], x)


@number("ulp")
def kahan_error():
    """Error of Kahan's sum of the same numbers."""
    x = _terms(2**16)
    total, lost = f32(0), f32(0)
    for value in x:
        y = f32(value - lost)
        t = f32(total + y)
        lost, total = f32(f32(t - total) - y), t
    return _error(total, x)


@number("ulp")
def pairwise_error():
    """Error of the pairwise sum of the same numbers, halves added to halves."""
    x = _terms(2**16)
    part = x
    while len(part) > 1:
        part = part[: len(part) // 2] + part[len(part) // 2 :]
    return _error(part[0], x)


@number("different sums")
def orders():
    """Different float32 results of one sum of 4,096 numbers in 100 random orders."""
    x, draw = np.random.default_rng(0).standard_normal(4096).astype(f32), np.random.default_rng(1)
    return len({float(np.cumsum(draw.permutation(x))[-1]) for _ in range(100)})


@number("")
def log_sum_exp():
    """scratchnet.logsumexp of (1000, 1000), whose exponentials are infinite in float32 and float64, less 1000."""
    return float(scratchnet.logsumexp(torch.tensor([1000.0, 1000.0]), 0)) - 1000


@number("")
def reduced_range():
    """The largest |x - k ln 2|, k = round(x / ln 2), over float32 numbers from -88 to 88."""
    x = np.arange(-88, 88, 1e-3)
    return float(np.abs(x - np.round(x / math.log(2)) * math.log(2)).max())


@number("ulp")
def exp_error():
    """The largest error of one float32 softmax numerator, exp(x) / (exp(x) + 1), by scratchnet.softmax in C++."""
    x = torch.linspace(-80, 0, 1 << 14)
    pairs = torch.stack([x, torch.zeros_like(x)], 1)
    with scratchnet.backend("cpp"):
        y = scratchnet.softmax(pairs, 1)[:, 0].double()
    exact = pairs.double().softmax(1)[:, 0]
    spacing = torch.from_numpy(np.spacing(exact.float().numpy())).double()
    return float(((y - exact).abs() / spacing).max())
